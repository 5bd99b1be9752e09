//! `PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.17/server-server-api/#put_matrixfederationv1send_leaveroomideventid>
//!
//! As version 2, in a list behind its status. The specification has it no more; old servers ask for it.

use axum::extract::State;
use ruma::api::federation::membership::create_leave_event::v2::Request;
use serde_json::{Value, json};
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};

use super::send_leave;
use crate::guard::Origin;

pub(crate) async fn handle(
    federation: State<Federation>,
    origin: Origin,
    request: Incoming<Request>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    send_leave::handle(federation, origin, request).await?;
    Ok(OutgoingJson(json!([200, {}])))
}
