//! `GET /_matrix/federation/v1/state/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid>

use axum::extract::State;
use ruma::api::federation::event::get_room_state::v1::Request;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin, pdus::PduLists};

#[instrument(name = "federation_api.event.get_room_state", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<PduLists, MatrixError> {
    let found = rooms.state_for_server(&origin, &request.room_id, &request.event_id).await;
    let found = found.map_err(failure::read)?;
    Ok(PduLists::new([("auth_chain", found.auth_chain), ("pdus", found.state)]))
}
