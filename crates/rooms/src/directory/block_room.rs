//! Blocking a room: nobody of this server is in it, and nobody comes in.

use ruma::RoomId;
use vestibule_policy::{Object, kind};
use vestibule_storage::tables::room::ROOM_BY_NO;

use super::{Administrator, DirectoryError};
use crate::{Rooms, ask::Deed};

impl Rooms {
    /// Blocks a room, or lets people in again. Who is in a room that is blocked leaves it in the
    /// background, invitations are declined, and nobody joins, is invited or speaks there.
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
            let no = room.known()?.no;
            let object = Object::room(&room.room_id);
            room.administer_with::<kind::BlockRoom>((&ask, &deed), &object)?;
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
