//! `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::message::send_message_event::v3::Response};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Rooms, SendEvent};

use super::{answer, body::content};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.send_message_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id, event_type, transaction_id)): PathArgs<(OwnedRoomId, String, String)>,
    IncomingJson(body): IncomingJson<Box<RawValue>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = SendEvent {
        room_id,
        event_type,
        content: content(&body)?,
        transaction_id: Some(transaction_id),
        timestamp: None,
    };
    let event_id = rooms.send_event(&actor, command).await.map_err(answer::send)?;
    Ok(Outgoing(Response::new(event_id)))
}
