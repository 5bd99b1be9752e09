//! Where the aliases in the policy's lists point: pinned when first seen, and for `never` kept.

use ruma::RoomAliasId;
use vestibule_storage::{
    StorageError,
    tables::directory::{ALIAS_BY_NAME, LIST_PIN, NEVER_ROOM, OwnedRoomIdRow},
};

use crate::{RoomTx, Rooms};

impl RoomTx<'_, '_> {
    /// Notes that an alias now points to this room, if the policy names it.
    pub(crate) fn pin_alias(&mut self, alias: &RoomAliasId) -> Result<(), StorageError> {
        let policy = self.rooms.inner.policy.current();
        if policy.listed_aliases().any(|listed| listed == alias)
            && LIST_PIN.get(&*self.tx, (alias,))?.is_none()
        {
            LIST_PIN.put(self.tx, (alias,), &OwnedRoomIdRow(self.room_id.clone()))?;
        }
        if policy.never_aliases().any(|never| never == alias) {
            NEVER_ROOM.put(self.tx, (alias, &self.room_id), &())?;
        }
        Ok(())
    }
}

impl Rooms {
    /// Pins every alias the policy names to where it points now. Done at start and after a reload.
    pub(crate) async fn pin_listed_aliases(&self) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let names = policy.listed_aliases().chain(policy.never_aliases());
        let mut names: Vec<_> = names.map(RoomAliasId::to_owned).collect();
        names.sort();
        names.dedup();
        for alias in names {
            let name = alias.clone();
            let row = self
                .inner
                .store
                .read::<_, StorageError, _>(move |snapshot| ALIAS_BY_NAME.get(snapshot, (&name,)))
                .await?;
            let Some(row) = row else { continue };
            self.in_room(&row.room_id, move |room| {
                room.pin_alias(&alias)?;
                room.bump_scope_guard()
            })
            .await?;
        }
        Ok(())
    }
}
