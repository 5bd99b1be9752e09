//! Following a room that was replaced: whoever comes into the new one finds there what they said of the old
//! one. If it was replaced on another server, our aliases of the old room move when somebody who may move
//! them comes into the new one.
//!
//! What the new room says of the old one proves nothing: the old room must have closed itself, in state
//! that is current here, and must name exactly this successor.

use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use vestibule_accounts::follow_room;
use vestibule_storage::{StorageError, Tx};

use crate::{RoomTx, Rooms, ask::Ask, directory::names_of};

#[derive(Deserialize)]
pub(super) struct Create {
    pub(super) predecessor: Option<Predecessor>,
}

#[derive(Deserialize)]
pub(super) struct Predecessor {
    pub(super) room_id: OwnedRoomId,
}

#[derive(Deserialize)]
pub(super) struct Tombstone {
    pub(super) replacement_room: OwnedRoomId,
}

impl Rooms {
    /// Moves our aliases of a room to its successor, now that somebody came into that, as far as the
    /// policy lets them.
    pub(crate) async fn follow_upgrade(
        &self,
        ask: &Ask,
        successor: &RoomId,
    ) -> Result<(), StorageError> {
        let predecessor = self.with_view::<_, StorageError, _>(successor, |view| {
            let create = view.state_event("m.room.create", "")?;
            let content = create.and_then(|event| event.pdu.content_as::<Create>().ok());
            Ok(content.and_then(|content| content.predecessor).map(|it| it.room_id))
        });
        let Some(old_id) = predecessor.await?.flatten() else { return Ok(()) };
        let (ask, new_id) = (ask.clone(), successor.to_owned());
        let id = old_id.clone();
        let user = ask.user_id.clone();
        let work = move |room: &mut RoomTx<'_, '_>| room.follow_upgrade(&ask, (&id, &new_id));
        if self.in_room(&old_id, work).await?.0 {
            self.take_along(user, (&old_id, successor)).await?;
        }
        Ok(())
    }

    /// What a user said of a room holds for its successor too.
    pub(super) async fn take_along(
        &self,
        user: OwnedUserId,
        (old_id, new_id): (&RoomId, &RoomId),
    ) -> Result<(), StorageError> {
        let (old_id, new_id) = (old_id.to_owned(), new_id.to_owned());
        let slot = self.inner.store.slot_of_user(&user);
        let write = move |tx: &mut Tx<'_>| follow_room(tx, &user, (&old_id, &new_id));
        self.inner.store.write(slot, write).await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// Says whether the room leads to the successor.
    fn follow_upgrade(
        &mut self,
        ask: &Ask,
        (old_id, new_id): (&RoomId, &RoomId),
    ) -> Result<bool, StorageError> {
        let content = match self.view() {
            Ok(view) if view.is_resident()? => {
                view.shown_state::<Tombstone>("m.room.tombstone", "")?
            }
            _ => return Ok(false),
        };
        if content.is_none_or(|content| content.replacement_room != new_id) {
            return Ok(false);
        }
        let aliases = names_of(&*self.tx, old_id)?;
        if !aliases.is_empty() && !self.carry_aliases(ask, &aliases, (old_id, new_id))?.is_empty() {
            let now = ask.now.get().into();
            self.scope_changed(now)?;
        }
        Ok(true)
    }
}
