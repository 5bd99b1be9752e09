//! Where a name leads.

use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, RoomOrAliasId};
use vestibule_storage::{
    Read, StorageError,
    tables::directory::{ALIAS_BY_NAME, ALIAS_BY_ROOM},
};
use vestibule_types::limits::ALIASES_PER_ROOM_MAX;

use super::DirectoryError;
use crate::Rooms;

impl Rooms {
    /// The room an alias of this server leads to.
    pub async fn resolve_alias(&self, alias: &RoomAliasId) -> Result<OwnedRoomId, DirectoryError> {
        if alias.server_name() != self.inner.server_name {
            return Err(DirectoryError::Foreign);
        }
        let alias = alias.to_owned();
        let row = self
            .inner
            .store
            .read::<_, DirectoryError, _>(move |snapshot| {
                Ok(ALIAS_BY_NAME.get(snapshot, (&alias,))?)
            })
            .await?;
        row.map(|row| row.room_id).ok_or(DirectoryError::UnknownAlias)
    }

    /// The room an identifier or an alias of this server means.
    pub async fn find_room(&self, room: &RoomOrAliasId) -> Result<OwnedRoomId, DirectoryError> {
        match <&RoomId>::try_from(room) {
            Ok(room_id) => Ok(room_id.to_owned()),
            Err(alias) => self.resolve_alias(alias).await,
        }
    }

    /// The names this server gave a room.
    pub async fn aliases_of(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedRoomAliasId>, StorageError> {
        let room_id = room_id.to_owned();
        self.inner.store.read(move |snapshot| names_of(snapshot, &room_id)).await
    }
}

/// The names of a room, in order.
pub(crate) fn names_of(
    reader: &impl Read,
    room_id: &RoomId,
) -> Result<Vec<OwnedRoomAliasId>, StorageError> {
    let rows = ALIAS_BY_ROOM.scan(reader, (room_id,), ALIASES_PER_ROOM_MAX)?;
    Ok(rows.into_iter().map(|((_, alias), ())| alias).collect())
}
