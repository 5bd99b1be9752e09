//! Rooms the user could be in: what may be known before one joins.

use vestibule_events::stripped_state;
use vestibule_rooms::{OpenRoom, STRIPPED_TYPES, blocks_invites};
use vestibule_storage::StorageError;

use super::{Pass, Sight, damaged};
use crate::response::{Events, InvitedRoom, KnockedRoom, RawEvent};

impl Pass<'_> {
    /// An invitation; nothing when it comes from somebody the user ignores, or the user wants none.
    pub(crate) fn invited(&self, room: &OpenRoom) -> Result<Option<InvitedRoom>, StorageError> {
        let sight = Sight::new(self, room)?;
        let invite = sight.view.state_event("m.room.member", self.user().as_str())?;
        let ignored = invite.is_some_and(|invite| self.ignored().contains(invite.pdu.sender()));
        if ignored || blocks_invites(self.snapshot, self.user())? {
            return Ok(None);
        }
        let invite_state = Events { events: sight.stripped()? };
        Ok(Some(InvitedRoom { invite_state }))
    }

    pub(crate) fn knocked(&self, room: &OpenRoom) -> Result<KnockedRoom, StorageError> {
        let sight = Sight::new(self, room)?;
        Ok(KnockedRoom { knock_state: Events { events: sight.stripped()? } })
    }
}

impl Sight<'_> {
    fn stripped(&self) -> Result<Vec<RawEvent>, StorageError> {
        let mut events = Vec::new();
        for kind in STRIPPED_TYPES {
            events.extend(self.view.shown_state_event(kind, "")?);
        }
        let own = self.view.shown_state_event("m.room.member", self.pass.user().as_str())?;
        if let Some(own) = own {
            let sender = own.sender();
            if sender != self.pass.user() {
                events.extend(self.view.shown_state_event("m.room.member", sender.as_str())?);
            }
            events.push(own);
        }
        let stripped = events.iter().map(|event| stripped_state(event));
        stripped.collect::<Result<_, _>>().map_err(|error| damaged(&error))
    }
}
