//! An upgrade that is asked for again, because its answer was lost or because two were asked for at once: it
//! has one successor.

use ruma::OwnedRoomId;
use vestibule_events::RoomVersion;
use vestibule_storage::StorageError;
use vestibule_types::limits::UPGRADE_REPEATED_MS_MAX;

use super::follow::{Create, Tombstone};
use crate::{OpenRoom, RoomTx, RoomView, ask::Ask};

impl RoomTx<'_, '_> {
    /// The successor of this version that the same user gave the room a moment ago.
    pub(super) fn just_replaced(
        &self,
        ask: &Ask,
        version: RoomVersion,
    ) -> Result<Option<OwnedRoomId>, StorageError> {
        let Some(tombstone) = self.state_event("m.room.tombstone", "")? else { return Ok(None) };
        let closed_at = u64::from(tombstone.pdu.origin_server_ts().get());
        let age = u64::from(ask.now.get()).saturating_sub(closed_at);
        if tombstone.pdu.sender() != ask.user_id || age > UPGRADE_REPEATED_MS_MAX {
            return Ok(None);
        }
        let Ok(Tombstone { replacement_room }) = tombstone.pdu.content_as() else {
            return Ok(None);
        };
        let Some(room) = OpenRoom::load(&self.tx.fixed(), &replacement_room)? else {
            return Ok(None);
        };
        let view = RoomView::new(self.rooms, self.tx.fixed(), &room);
        let create = view.state_event("m.room.create", "")?;
        let came_of_it = create.is_some_and(|create| {
            let content = create.pdu.content_as::<Create>().ok();
            let old = content.and_then(|content| content.predecessor).map(|it| it.room_id);
            create.pdu.sender() == ask.user_id && old.is_some_and(|old| old == self.room_id)
        });
        Ok((came_of_it && room.version == version).then_some(replacement_room))
    }
}
