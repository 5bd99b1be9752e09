//! Not wanting to see a room any more.

use ruma::{RoomId, UserId};
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{DEPARTURE, ROOM_BY_MEMBER, StoredMembership},
};
use vestibule_types::Actor;

use crate::{RoomTx, Rooms, UnknownRoom};

/// Why a room was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The user never had anything to do with it.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The user is still in it, or invited.
    #[error("leave the room before forgetting it")]
    StillThere,
    /// The database failed.
    #[error("could not forget the room")]
    Storage(#[from] StorageError),
}

impl Rooms {
    /// Hides a room the user has left. Their history of it can no longer be read by them. Clients that knew
    /// it as one the user was in, or was invited to, are still told that it is over.
    pub async fn forget(&self, actor: &Actor, room_id: &RoomId) -> Result<(), ForgetError> {
        let user = actor.user_id().to_owned();
        self.in_room(room_id, move |room| {
            if let Some(outside) = room.outside(&user)? {
                if !is_over(outside.value.membership) {
                    return Err(ForgetError::StillThere);
                }
                room.forget_outside(&user)?;
                if room.known().is_err() {
                    return Ok(());
                }
            }
            room.forget(&user)
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    fn forget(&mut self, user: &UserId) -> Result<(), ForgetError> {
        let no = self.known()?.no;
        let Some(member) = ROOM_BY_MEMBER.get(&*self.tx, (user, no))? else {
            return Err(ForgetError::UnknownRoom(UnknownRoom));
        };
        if !is_over(member.value.membership) {
            return Err(ForgetError::StillThere);
        }
        let mut row = member.value;
        row.forgotten = true;
        let forgotten = Stamped { stamp: member.stamp, value: row };
        ROOM_BY_MEMBER.put(self.tx, (user, no), &forgotten)?;
        DEPARTURE.delete(self.tx, (user, no))?;
        Ok(())
    }
}

fn is_over(membership: StoredMembership) -> bool {
    matches!(membership, StoredMembership::Leave | StoredMembership::Ban)
}
