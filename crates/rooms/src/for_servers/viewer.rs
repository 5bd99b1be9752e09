//! Which events another server may see.

use std::collections::HashMap;

use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{Read, StorageError, tables::room::StateAt};
use vestibule_types::EventNo;

use super::presence::{Presence, is_of};
use crate::{LoggedEvent, RoomView, erased::is_personal, visibility::Visibility};

/// A server looking at a room's history. Remembers what it found out, so that a page of events
/// costs what its state changes cost.
///
/// A server in the room sees what some user of it might: everything under `shared`, and under
/// `invited` and `joined` what happened while one of its users was. One outside the room sees only
/// what happened while it was in, and what is `world_readable`: what lay before its join under
/// `shared` it had the time to ask for.
#[derive(Debug)]
pub struct ServerViewer {
    server: OwnedServerName,
    in_room: bool,
    presence: Option<Presence>,
    visibilities: HashMap<StateAt, Visibility>,
}

impl ServerViewer {
    /// A server looking at a room.
    pub fn new<R: Read>(view: &RoomView<'_, R>, server: &ServerName) -> Result<Self, StorageError> {
        Ok(Self {
            server: server.to_owned(),
            in_room: view.has_server(server)?,
            presence: None,
            visibilities: HashMap::new(),
        })
    }

    /// Whether the server is in the room now.
    #[must_use]
    pub fn is_in_room(&self) -> bool {
        self.in_room
    }

    /// Whether the server may see an event whole. Rejected events are nobody's; soft-failed ones
    /// take part as others do. Of an outlier nothing is known but what authorizes it: state is shown
    /// to servers in the room, which are given it with the room's state anyway.
    pub fn may_see<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: &LoggedEvent,
    ) -> Result<bool, StorageError> {
        if event.pdu.rejected() {
            return Ok(false);
        }
        let Some(around) = view.around(event.no)? else {
            return Ok(self.in_room && event.pdu.is_state());
        };
        if self.saw(view, around.value.before)? {
            return Ok(true);
        }
        // A change of visibility, and of a membership of the server, is seen from either side.
        Ok(self.has_two_sides(event) && self.saw(view, around.value.after)?)
    }

    /// Whether the server may see the state around an event.
    pub fn may_see_state_at<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: EventNo,
    ) -> Result<bool, StorageError> {
        if self.in_room {
            return Ok(true);
        }
        match view.around(event)? {
            Some(around) => self.saw(view, around.value.before),
            None => Ok(false),
        }
    }

    /// Whether a message is shown to the server as if it were redacted: its sender asked to be forgotten, and
    /// nobody of the server was joined when it was sent.
    pub(super) fn is_kept_from<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: &LoggedEvent,
    ) -> Result<bool, StorageError> {
        let pdu = &event.pdu;
        if pdu.is_state() || !is_personal(pdu) || !view.is_erased(pdu.sender())? {
            return Ok(false);
        }
        match view.around(event.no)? {
            Some(around) => Ok(!self.presence_at(view, around.value.before)?.joined()),
            None => Ok(true),
        }
    }

    fn has_two_sides(&self, event: &LoggedEvent) -> bool {
        let pdu = &event.pdu;
        let member = pdu.state_key().filter(|_| pdu.kind() == "m.room.member");
        member.is_some_and(|user| is_of(user, &self.server))
            || pdu.is_state_of("m.room.history_visibility", "")
    }

    fn saw<R: Read>(&mut self, view: &RoomView<'_, R>, at: StateAt) -> Result<bool, StorageError> {
        let visibility = if let Some(known) = self.visibilities.get(&at) {
            *known
        } else {
            let found = view.visibility_at(at)?;
            self.visibilities.insert(at, found);
            found
        };
        match visibility {
            Visibility::WorldReadable => Ok(true),
            Visibility::Shared if self.in_room => Ok(true),
            Visibility::Shared | Visibility::Joined => Ok(self.presence_at(view, at)?.joined()),
            Visibility::Invited => {
                let presence = self.presence_at(view, at)?;
                Ok(presence.joined() || presence.invited())
            }
        }
    }

    fn presence_at<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        at: StateAt,
    ) -> Result<&Presence, StorageError> {
        let presence = match self.presence.take() {
            Some(mut known) => {
                known.go_to(view, &self.server, at)?;
                known
            }
            None => Presence::at(view, &self.server, at)?,
        };
        Ok(self.presence.insert(presence))
    }
}
