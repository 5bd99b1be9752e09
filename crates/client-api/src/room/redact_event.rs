//! `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid>

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId, api::client::redact::redact_event::v3::Response};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Redact, Rooms};

use super::{answer, body::content};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.redact_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id, event_id, transaction_id)): PathArgs<(OwnedRoomId, OwnedEventId, String)>,
    IncomingJson(body): IncomingJson<Box<RawValue>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = Redact {
        room_id,
        event_id,
        content: content(&body)?,
        transaction_id: Some(transaction_id),
    };
    let event_id = rooms.redact(&actor, command).await.map_err(answer::send)?;
    Ok(Outgoing(Response::new(event_id)))
}
