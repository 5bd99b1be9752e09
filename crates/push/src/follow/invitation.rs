//! Invitations to rooms this server is not in: they are in no room's log.

use std::sync::Arc;

use ruma::UserId;
use vestibule_rooms::{OutsideRoom, StoredMembership, blocks_invites};
use vestibule_storage::{
    StorageError,
    tables::{push::StoredPush, sender::StoredCursor},
};

use super::{at, news::Reading};
use crate::{
    rules::{Occasion, RoomFacts, Whose, highlights, notifies, tweaks},
    unread::damaged,
};

impl Reading<'_> {
    /// Queues what came for a user in a stretch of the log, if their rules want it.
    pub(super) fn invitations(
        &mut self,
        user: &UserId,
        (from, to): (&StoredCursor, &StoredCursor),
    ) -> Result<(), StorageError> {
        for room in OutsideRoom::all_of(self.snapshot, user)? {
            let slot = self.push.store().slot_of_room(&room.room_id);
            let new = at(from, slot) < room.since && room.since <= at(to, slot);
            if room.membership != StoredMembership::Invite || !new {
                continue;
            }
            let own = self.push.unread().own(self.snapshot, user)?;
            let unwanted = own.ignored.contains(room.event.sender());
            if unwanted || blocks_invites(self.snapshot, user)? {
                continue;
            }
            // Nothing is known of a room elsewhere.
            let facts = Arc::new(RoomFacts { members: 0, levels: None });
            let occasion = Occasion::new(&room.event, facts).map_err(|it| damaged(&it))?;
            let actions = occasion.actions(&own.rules.0, Whose { user, display_name: None });
            if notifies(actions) {
                let push = StoredPush::Invitation {
                    room_id: room.room_id.clone(),
                    tweaks: serde_json::Value::Object(tweaks(actions)).to_string(),
                    highlight: highlights(actions),
                    at: self.push.environment().now_ms(),
                };
                self.queue(user, (slot, room.since), &push)?;
            }
        }
        Ok(())
    }
}
