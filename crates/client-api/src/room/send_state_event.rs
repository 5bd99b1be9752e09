//! `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::{Rooms, SendState};
use vestibule_types::Actor;

use super::{answer, body::content};
use crate::extract::PathArgs;

/// The event, and a note to the last one who could change the room's power levels and gave that away.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    event_id: OwnedEventId,
    #[serde(rename = "org.vestibule.note", skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[instrument(name = "client_api.room.send_state_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs(path): PathArgs<(OwnedRoomId, String, String)>,
    IncomingJson(body): IncomingJson<Box<RawValue>>,
) -> Result<OutgoingJson<Sent>, MatrixError> {
    set(&rooms, &actor, path, &body).await
}

/// The same with an empty state key, which may be left out of the path.
#[instrument(name = "client_api.room.send_state_event", skip_all)]
pub(crate) async fn without_key(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id, event_type)): PathArgs<(OwnedRoomId, String)>,
    IncomingJson(body): IncomingJson<Box<RawValue>>,
) -> Result<OutgoingJson<Sent>, MatrixError> {
    set(&rooms, &actor, (room_id, event_type, String::new()), &body).await
}

async fn set(
    rooms: &Rooms,
    actor: &Actor,
    (room_id, event_type, state_key): (OwnedRoomId, String, String),
    body: &RawValue,
) -> Result<OutgoingJson<Sent>, MatrixError> {
    let content = content(body)?;
    let command = SendState { room_id, event_type, state_key, content, timestamp: None };
    let sent = rooms.send_state_noted(actor, command).await;
    let (event_id, note) = sent.map_err(answer::send)?;
    Ok(OutgoingJson(Sent { event_id, note: answer::guard_note(note) }))
}
