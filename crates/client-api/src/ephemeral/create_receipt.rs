//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid>

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId, api::client::receipt::create_receipt::v3::Response};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{ReceiptKind, Rooms, SendReceipt};

use super::{notice_answer, set_read_marker::move_marker};
use crate::extract::PathArgs;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Body {
    /// `null` is no thread, but something.
    #[serde(default, deserialize_with = "given")]
    thread_id: Option<Value>,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[instrument(name = "client_api.ephemeral.create_receipt", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((room_id, kind, event_id)): PathArgs<(OwnedRoomId, String, OwnedEventId)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let thread = thread(body.thread_id)?;
    let kind = match kind.as_str() {
        "m.read" => ReceiptKind::Public,
        "m.read.private" => ReceiptKind::Private,
        "m.fully_read" if thread.is_some() => {
            return Err(MatrixError::invalid_param("a read marker is of no thread"));
        }
        "m.fully_read" => {
            move_marker((&rooms, &accounts), &actor, room_id, event_id).await?;
            return Ok(Outgoing(Response::new()));
        }
        _ => return Err(MatrixError::invalid_param("there are no receipts of this type")),
    };
    let command = SendReceipt { room_id, event_id, kind, thread };
    rooms.send_receipt(&actor, command).await.map_err(notice_answer)?;
    Ok(Outgoing(Response::new()))
}

fn thread(value: Option<Value>) -> Result<Option<String>, MatrixError> {
    match value {
        None => Ok(None),
        Some(Value::String(thread)) if !thread.is_empty() => Ok(Some(thread)),
        Some(_) => Err(MatrixError::invalid_param("thread_id must be a text that is not empty")),
    }
}
