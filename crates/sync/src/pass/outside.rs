//! Rooms this server is not in: invitations from elsewhere, knocks, and what became of them.

use vestibule_events::{Unsigned, client_event};
use vestibule_rooms::{OutsideRoom, StoredMembership, blocks_invites};
use vestibule_storage::StorageError;

use super::{Pass, damaged};
use crate::response::{Events, InvitedRoom, KnockedRoom, LeftRoom, State, SyncResponse, Timeline};

impl Pass<'_> {
    /// Adds those rooms. What is kept of one is newer than what is left of the room itself.
    pub(super) fn outside(&self, response: &mut SyncResponse) -> Result<(), StorageError> {
        let store = self.inner.rooms.store();
        for room in OutsideRoom::all_of_with_forgotten(self.snapshot, self.user())? {
            let id = room.room_id.clone();
            if !self.query.filter.admits_room(&id) {
                continue;
            }
            response.rooms.invite.remove(&id);
            response.rooms.knock.remove(&id);
            response.rooms.leave.remove(&id);
            let since = self.since.as_ref().map(|it| it.positions.get(store.slot_of_room(&id)));
            let moved = since.is_none_or(|since| room.since.commit > since);
            match room.membership {
                StoredMembership::Invite if moved && self.takes_invite(&room)? => {
                    let invite_state = Events { events: room.stripped };
                    response.rooms.invite.insert(id, InvitedRoom { invite_state });
                }
                StoredMembership::Knock if moved => {
                    let knock_state = Events { events: room.stripped };
                    response.rooms.knock.insert(id, KnockedRoom { knock_state });
                }
                StoredMembership::Leave | StoredMembership::Ban
                    if moved
                        && (since.is_some()
                            || (self.query.filter.include_leave && !room.forgotten)) =>
                {
                    response.rooms.leave.insert(id, self.gone(&room)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the user wants to see an invitation.
    pub(crate) fn takes_invite(&self, room: &OutsideRoom) -> Result<bool, StorageError> {
        let ignored = self.ignored().contains(room.event.sender());
        Ok(!ignored && !blocks_invites(self.snapshot, self.user())?)
    }

    /// Who was never in sees that they were turned away, or went, and nothing of the room.
    fn gone(&self, room: &OutsideRoom) -> Result<LeftRoom, StorageError> {
        let event = client_event(&room.event, false, &Unsigned::default());
        let timeline = Timeline {
            events: vec![event.map_err(|error| damaged(&error))?],
            ..Timeline::default()
        };
        let state = if self.query.use_state_after {
            State::After(Events::default())
        } else {
            State::default()
        };
        Ok(LeftRoom { state, timeline, account_data: Events::default() })
    }
}
