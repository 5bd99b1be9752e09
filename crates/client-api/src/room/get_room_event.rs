//! `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid>

use axum::extract::State;
use ruma::api::client::room::get_room_event::v3::Request;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;

use super::answer;

#[instrument(name = "client_api.room.get_room_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    let event = rooms.event(&actor, &request.room_id, &request.event_id).await;
    Ok(OutgoingJson(event.map_err(answer::read)?))
}
