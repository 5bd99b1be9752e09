//! `GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey>

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;
use vestibule_types::Actor;

use super::answer;
use crate::extract::{PathArgs, QueryArgs};

/// Whether the content is wanted, or all of the event.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Content,
    Event,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    format: Format,
}

#[instrument(name = "client_api.room.get_state_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs(path): PathArgs<(OwnedRoomId, String, String)>,
    QueryArgs(query): QueryArgs<Query>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    get(&rooms, &actor, path, &query).await
}

/// The same with an empty state key, which may be left out of the path.
#[instrument(name = "client_api.room.get_state_event", skip_all)]
pub(crate) async fn without_key(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id, event_type)): PathArgs<(OwnedRoomId, String)>,
    QueryArgs(query): QueryArgs<Query>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    get(&rooms, &actor, (room_id, event_type, String::new()), &query).await
}

async fn get(
    rooms: &Rooms,
    actor: &Actor,
    (room_id, event_type, state_key): (OwnedRoomId, String, String),
    query: &Query,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    let whole = matches!(query.format, Format::Event);
    let key = (event_type, state_key);
    let event = rooms.state_event(actor, &room_id, key, whole).await.map_err(answer::read)?;
    Ok(OutgoingJson(event))
}
