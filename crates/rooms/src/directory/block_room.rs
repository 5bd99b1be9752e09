//! Blocking a room: nobody of this server is in it, and nobody comes in.

use ruma::RoomId;
use vestibule_policy::{Object, kind};
use vestibule_storage::{
    StorageError,
    tables::{directory::BLOCKED_ROOM, room::ROOM_BY_NO},
};

use super::{Administrator, DirectoryError};
use crate::{RoomTx, Rooms, ask::Deed};

impl Rooms {
    /// Blocks a room, or lets people in again. Who is in a room that is blocked leaves it in the
    /// background, invitations are declined, and nobody joins, is invited or speaks there. A room this
    /// server does not know can be blocked beforehand.
    pub async fn block_room(
        &self,
        by: &Administrator,
        room_id: &RoomId,
        blocked: bool,
    ) -> Result<(), DirectoryError> {
        let ask = by.ask(self.inner.env.now());
        let deed = Deed::BlockRoom(room_id.to_owned());
        let now = self.inner.env.now_ms();
        self.in_room(room_id, move |room| {
            let object = Object::room(&room.room_id);
            room.administer_with::<kind::BlockRoom>((&ask, &deed), &object)?;
            let Ok(no) = room.known().map(|known| known.no) else {
                return Ok(room.block_beforehand(blocked)?);
            };
            let Some(mut row) = ROOM_BY_NO.get(&*room.tx, (no,))? else {
                return Err(crate::UnknownRoom.into());
            };
            row.blocked = blocked;
            ROOM_BY_NO.put(room.tx, (no,), &row)?;
            room.known_mut()?.blocked = blocked;
            room.bump_scope_guard()?;
            if blocked {
                room.empty_later(now)?;
            }
            Ok::<_, DirectoryError>(())
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    fn block_beforehand(&mut self, blocked: bool) -> Result<(), StorageError> {
        if blocked {
            BLOCKED_ROOM.put(self.tx, (&self.room_id,), &())
        } else {
            BLOCKED_ROOM.delete(self.tx, (&self.room_id,))
        }
    }
}
