//! The state of a room.

use ruma::RoomId;
use serde_json::value::RawValue;
use vestibule_types::Actor;

use super::ReadError;
use crate::{Rooms, Showing};

impl Rooms {
    /// All state the reader sees: now, or as it was when they left.
    pub async fn state(
        &self,
        actor: &Actor,
        room_id: &RoomId,
    ) -> Result<Vec<Box<RawValue>>, ReadError> {
        let (asker, now) = (actor.clone(), self.inner.env.now());
        self.read_as(actor, room_id, move |view, mut access| {
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let mut events = Vec::new();
            for no in view.full_state(access.at, None)?.into_values() {
                if let Some(event) = view.event(no)? {
                    events.push(view.show(&mut access.viewer, &event, showing)?);
                }
            }
            Ok(events)
        })
        .await
    }

    /// One state event: its content, or with `whole` all of it.
    pub async fn state_event(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        (event_type, state_key): (String, String),
        whole: bool,
    ) -> Result<Box<RawValue>, ReadError> {
        let (asker, now) = (actor.clone(), self.inner.env.now());
        self.read_as(actor, room_id, move |view, mut access| {
            let event = view
                .state_event_at(access.at, &event_type, &state_key)?
                .ok_or(ReadError::NotFound)?;
            if whole {
                let showing = Showing { actor: Some(&asker), with_room_id: true, now };
                return Ok(view.show(&mut access.viewer, &event, showing)?);
            }
            Ok(view.shown_content(&event)?)
        })
        .await
    }
}
