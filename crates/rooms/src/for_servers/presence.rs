//! Which servers are in a room, now and at a moment of its state.

use ruma::{OwnedServerName, RoomId, ServerName, UserId};
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::room::{MEMBER_BY_ROOM, SERVER_BY_ROOM, StateAt, StoredMembership},
};
use vestibule_types::{EventNo, limits::INVITED_SCAN_MAX};

use crate::{RoomView, Rooms, append::membership_of};

impl Rooms {
    /// Whether a server has a joined member in a room, as far as this server knows.
    pub async fn has_server(
        &self,
        room_id: &RoomId,
        server: &ServerName,
    ) -> Result<bool, StorageError> {
        let server = server.to_owned();
        let found = self.with_view(room_id, move |view| view.has_server(&server)).await?;
        Ok(found.unwrap_or(false))
    }

    /// Up to `limit` servers with a joined member in a room, ours among them, by name.
    pub async fn servers_of(
        &self,
        room_id: &RoomId,
        limit: usize,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let found = self.with_view(room_id, move |view| view.servers(limit)).await?;
        Ok(found.unwrap_or_default())
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Whether a server has a joined member here.
    pub fn has_server(&self, server: &ServerName) -> Result<bool, StorageError> {
        SERVER_BY_ROOM.contains(&self.reader, (self.room.no, server))
    }

    /// Whether this server has a joined member here: what it knows of the room is fresh.
    pub(crate) fn is_resident(&self) -> Result<bool, StorageError> {
        self.has_server(&self.rooms.inner.server_name)
    }

    /// Up to `limit` servers with a joined member here, by name.
    pub fn servers(&self, limit: usize) -> Result<Vec<OwnedServerName>, StorageError> {
        let rows = SERVER_BY_ROOM.scan(&self.reader, (self.room.no,), limit)?;
        Ok(rows.into_iter().map(|((_, server), _)| server).collect())
    }

    /// Whether a user of a server is invited here. Looks at a bounded number of invitations.
    pub(crate) fn invites_server(&self, server: &ServerName) -> Result<bool, StorageError> {
        let invited = Scan::prefix((self.room.no, StoredMembership::Invite.key()));
        let invited = MEMBER_BY_ROOM.scan_with(&self.reader, invited.limit(INVITED_SCAN_MAX))?;
        Ok(invited.iter().any(|((_, _, user), _)| user.server_name() == server))
    }
}

/// How many users of one server are in a room, and invited to it, at a moment of its state. Moves
/// from moment to moment by what differs between them.
#[derive(Debug)]
pub(super) struct Presence {
    at: StateAt,
    joined: u64,
    invited: u64,
}

impl Presence {
    /// Counts at a moment.
    pub(super) fn at<R: Read>(
        view: &RoomView<'_, R>,
        server: &ServerName,
        at: StateAt,
    ) -> Result<Self, StorageError> {
        let mut presence = Self { at, joined: 0, invited: 0 };
        for ((_, user), no) in view.full_state(at, Some("m.room.member"))? {
            if is_of(&user, server) {
                presence.count(view, Some(no), 1)?;
            }
        }
        Ok(presence)
    }

    /// Goes to another moment.
    pub(super) fn go_to<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        server: &ServerName,
        at: StateAt,
    ) -> Result<(), StorageError> {
        for change in view.state_diff(self.at, at)? {
            if change.key.0 == "m.room.member" && is_of(&change.key.1, server) {
                self.count(view, change.old, -1)?;
                self.count(view, change.new, 1)?;
            }
        }
        self.at = at;
        Ok(())
    }

    /// Whether somebody of the server is in the room.
    pub(super) fn joined(&self) -> bool {
        self.joined > 0
    }

    /// Whether somebody of the server is invited.
    pub(super) fn invited(&self) -> bool {
        self.invited > 0
    }

    fn count<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        member: Option<EventNo>,
        by: i64,
    ) -> Result<(), StorageError> {
        let Some(no) = member else { return Ok(()) };
        let Some(event) = view.event(no)? else { return Ok(()) };
        match membership_of(&event.pdu) {
            StoredMembership::Join => self.joined = self.joined.saturating_add_signed(by),
            StoredMembership::Invite => self.invited = self.invited.saturating_add_signed(by),
            StoredMembership::Knock | StoredMembership::Leave | StoredMembership::Ban => {}
        }
        Ok(())
    }
}

/// Whether a state key is a user of a server.
pub(super) fn is_of(state_key: &str, server: &ServerName) -> bool {
    <&UserId>::try_from(state_key).is_ok_and(|user| user.server_name() == server)
}
