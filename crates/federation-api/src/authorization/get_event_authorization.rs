//! `GET /_matrix/federation/v1/event_auth/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid>

use axum::extract::State;
use ruma::api::federation::authorization::get_event_authorization::v1::Request;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin, pdus::PduLists};

#[instrument(name = "federation_api.authorization.get_event_authorization", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<PduLists, MatrixError> {
    let chain = rooms.auth_chain_for_server(&origin, &request.room_id, &request.event_id).await;
    Ok(PduLists::new([("auth_chain", chain.map_err(failure::read)?)]))
}
