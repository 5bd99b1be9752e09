//! One event.

use ruma::{EventId, RoomId};
use serde_json::value::RawValue;
use vestibule_storage::{
    StorageError,
    tables::room::{EVENT_BY_ID, ROOM_BY_NO},
};
use vestibule_types::Actor;

use super::ReadError;
use crate::{Rooms, Showing};

impl Rooms {
    /// One event of whichever room, if the reader may see it.
    pub async fn event_of_any_room(
        &self,
        actor: &Actor,
        event_id: &EventId,
    ) -> Result<Box<RawValue>, ReadError> {
        let wanted = event_id.to_owned();
        let found = self.inner.store.read::<_, StorageError, _>(move |snapshot| match EVENT_BY_ID
            .get(snapshot, (&wanted,))?
        {
            Some(place) => ROOM_BY_NO.get(snapshot, (place.room,)),
            None => Ok(None),
        });
        let room = found.await?.ok_or(ReadError::NotFound)?;
        self.event(actor, &room.room_id, event_id).await
    }

    /// One event, if the reader may see it.
    pub async fn event(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Box<RawValue>, ReadError> {
        let (actor_, event_id, now) = (actor.clone(), event_id.to_owned(), self.inner.env.now());
        let read = self.read_as(actor, room_id, move |view, mut access| {
            let event = view.event_by_id(&event_id)?.ok_or(ReadError::NotFound)?;
            let viewer = &mut access.viewer;
            if !viewer.may_see(view, event.no)? || viewer.ignores(view, &event)? {
                return Err(ReadError::NotFound);
            }
            let showing = Showing { actor: Some(&actor_), with_room_id: true, now };
            Ok(view.show_bundled(&mut access.viewer, &event, showing)?)
        });
        match read.await {
            // Whether the event exists is not told to those who may not see it.
            Err(ReadError::NotMember) => Err(ReadError::NotFound),
            other => other,
        }
    }
}
