//! `GET /_matrix/federation/v1/state_ids/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid>

use axum::extract::State;
use ruma::api::federation::event::get_room_state_ids::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.event.get_room_state_ids", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let found = rooms.state_ids_for_server(&origin, &request.room_id, &request.event_id).await;
    let found = found.map_err(failure::read)?;
    Ok(Outgoing(Response::new(found.auth_chain, found.state)))
}
