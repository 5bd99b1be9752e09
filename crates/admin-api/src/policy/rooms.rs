//! `GET /policy/rooms`: every room that is open to a class, and why.

use axum::extract::State;
use serde::Deserialize;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};
use vestibule_types::ClassName;

use crate::{AdminServices, OpenRoom, OpenRoomsAnswer, class_of::class_of};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    class: Option<String>,
}

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(question): QueryArgs<Question>,
) -> Result<OutgoingJson<OpenRoomsAnswer>, MatrixError> {
    let policy = services.policy.current();
    let class = question.class.as_deref().unwrap_or(ClassName::GUEST);
    let class = class_of(class, &policy)?;
    let found = services.rooms.open_rooms(&class).await.map_err(|cause| internal(&cause))?;
    let rooms = found.into_iter().map(|room| OpenRoom {
        room_id: room.room_id.to_string(),
        aliases: room.aliases,
        because: room.because,
    });
    Ok(OutgoingJson(OpenRoomsAnswer { class: class.to_string(), rooms: rooms.collect() }))
}
