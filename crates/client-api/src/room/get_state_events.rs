//! `GET /_matrix/client/v3/rooms/{roomId}/state`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate>

use axum::extract::State;
use ruma::api::client::state::get_state_events::v3::Request;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;

use super::answer;

#[instrument(name = "client_api.room.get_state_events", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Vec<Box<RawValue>>>, MatrixError> {
    let state = rooms.state(&actor, &request.room_id).await.map_err(answer::read)?;
    Ok(OutgoingJson(state))
}
