//! Listing a room in the public directory.

use ruma::{OwnedRoomId, RoomId};
use vestibule_policy::{Object, Permit, kind};
use vestibule_state_res::Power;
use vestibule_storage::{
    StorageError,
    tables::directory::{PUBLICATION_BY_ROOM, StoredPublication},
};
use vestibule_types::Actor;

use super::DirectoryError;
use crate::{
    OpenRoom, RoomTx, Rooms,
    append::power_levels,
    ask::{Ask, Deed},
};

impl Rooms {
    /// Lists a room in the directory, or takes it off.
    pub async fn set_published(
        &self,
        actor: &Actor,
        room_id: OwnedRoomId,
        published: bool,
    ) -> Result<(), DirectoryError> {
        let deed = Deed::Publish(room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        self.in_room(&room_id, move |room| {
            room.known()?;
            let permit = room.permit::<kind::Publish>(&ask, &deed)?;
            room.check_directory_power(&ask)?;
            if published {
                return room.publish(&ask, permit);
            }
            room.spend_permit(&ask, permit, &Object::room(&room.room_id))?;
            let no = room.known()?.no;
            PUBLICATION_BY_ROOM.delete(room.tx, (no,))?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Whether a room is listed. `None` for a room this server does not know.
    pub async fn is_published(&self, room_id: &RoomId) -> Result<Option<bool>, StorageError> {
        let room_id = room_id.to_owned();
        self.inner
            .store
            .read(move |snapshot| {
                let Some(room) = OpenRoom::load(snapshot, &room_id)? else { return Ok(None) };
                Ok(Some(PUBLICATION_BY_ROOM.get(snapshot, (room.no,))?.is_some()))
            })
            .await
    }
}

impl RoomTx<'_, '_> {
    /// Lists the room, which was allowed.
    pub(crate) fn publish(
        &mut self,
        ask: &Ask,
        permit: Permit<kind::Publish>,
    ) -> Result<(), DirectoryError> {
        self.spend_permit(ask, permit, &Object::room(&self.room_id))?;
        let no = self.known()?.no;
        let row = StoredPublication {
            publisher: ask.user_id.clone(),
            published_at: ask.now.get().into(),
        };
        PUBLICATION_BY_ROOM.put(self.tx, (no,), &row)?;
        Ok(())
    }

    /// Whoever lists a room must be able to name it in the room itself.
    fn check_directory_power(&self, ask: &Ask) -> Result<(), DirectoryError> {
        let view = self.view()?;
        let malformed = |_| DirectoryError::Powerless("the room's power levels are malformed");
        let power = power_levels(&view, view.room.head.state)
            .map_err(|_| DirectoryError::Powerless("the room's power levels are malformed"))?;
        let own = power.user(&ask.user_id).map_err(malformed)?;
        let needed = power.to_send("m.room.canonical_alias", true).map_err(malformed)?;
        if own >= Power::Int(needed) {
            Ok(())
        } else {
            Err(DirectoryError::Powerless("you may not list this room in the directory"))
        }
    }
}
