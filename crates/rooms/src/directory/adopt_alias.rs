//! An operator vouching for an alias somebody else made, and for a space's edge.

use ruma::{OwnedRoomAliasId, OwnedRoomId};
use vestibule_storage::tables::directory::{
    ALIAS_BY_NAME, SPACE_APPROVAL, SPACE_EDGE_FIRST, StoredAliasOrigin,
};
use vestibule_types::ClassName;

use super::DirectoryError;
use crate::{Rooms, UnknownRoom};

impl Rooms {
    /// Re-authorises an alias as the operator's own: from now on it opens doors as if an admin had
    /// made it.
    pub async fn adopt_alias(
        &self,
        alias: OwnedRoomAliasId,
    ) -> Result<OwnedRoomId, DirectoryError> {
        let room_id = self.resolve_alias(&alias).await?;
        let now = self.inner.env.now_ms();
        let place = room_id.clone();
        self.in_room(&room_id, move |room| {
            let row = ALIAS_BY_NAME.get(&*room.tx, (&alias,))?;
            let mut row =
                row.filter(|row| row.room_id == place).ok_or(DirectoryError::UnknownAlias)?;
            row.creator_class = ClassName::admin();
            row.origin = StoredAliasOrigin::Admin;
            ALIAS_BY_NAME.put(room.tx, (&alias,), &row)?;
            room.bump_scope_guard()?;
            Ok::<_, DirectoryError>(room.scope_changed(now)?)
        })
        .await?;
        Ok(room_id)
    }

    /// Approves a space's edge that somebody who is no curator set first.
    pub async fn approve_space_child(
        &self,
        space: OwnedRoomId,
        child: OwnedRoomId,
    ) -> Result<(), DirectoryError> {
        let now = self.inner.env.now_ms();
        let place = space.clone();
        self.in_room(&space, move |room| {
            room.known()?;
            if SPACE_EDGE_FIRST.get(&*room.tx, (&place, &child))?.is_none() {
                return Err(DirectoryError::UnknownRoom(UnknownRoom));
            }
            SPACE_APPROVAL.put(room.tx, (&place, &child), &())?;
            room.bump_scope_guard()?;
            Ok(room.scope_changed(now)?)
        })
        .await?;
        Ok(())
    }
}
