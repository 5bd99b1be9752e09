//! One event, by its id alone.

use ruma::{EventId, OwnedRoomId, ServerName};
use serde_json::value::RawValue;
use vestibule_storage::{
    StorageError,
    tables::room::{EVENT_BY_ID, ROOM_BY_NO},
};

use super::ServerReadError;
use crate::Rooms;

impl Rooms {
    /// An event for another server. One the server may not know of is answered as one that is not
    /// there.
    pub async fn event_for_server(
        &self,
        server: &ServerName,
        event_id: &EventId,
    ) -> Result<Box<RawValue>, ServerReadError> {
        let room_id = self.room_of(event_id).await?.ok_or(ServerReadError::NotFound)?;
        let event_id = event_id.to_owned();
        let read = self.read_for_server(server, &room_id, move |view, mut viewer| {
            let event = view.event_by_id(&event_id)?.ok_or(ServerReadError::NotFound)?;
            view.shown_to(&mut viewer, &event)?.ok_or(ServerReadError::NotFound)
        });
        match read.await {
            Err(ServerReadError::NotInRoom) => Err(ServerReadError::NotFound),
            Err(ServerReadError::Excluded) => self.excluded_from(server, &room_id).await,
            other => other,
        }
    }

    async fn room_of(&self, event_id: &EventId) -> Result<Option<OwnedRoomId>, StorageError> {
        let event_id = event_id.to_owned();
        self.inner
            .store
            .read(move |snapshot| {
                let Some(place) = EVENT_BY_ID.get(snapshot, (&event_id,))? else { return Ok(None) };
                Ok(ROOM_BY_NO.get(snapshot, (place.room,))?.map(|room| room.room_id))
            })
            .await
    }

    /// Only a server in the room is told that it is the list which keeps it out.
    async fn excluded_from<T>(
        &self,
        server: &ServerName,
        room_id: &ruma::RoomId,
    ) -> Result<T, ServerReadError> {
        let in_room = self.has_server(room_id, server).await?;
        Err(if in_room { ServerReadError::Excluded } else { ServerReadError::NotFound })
    }
}
