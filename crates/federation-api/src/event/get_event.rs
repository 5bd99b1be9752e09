//! `GET /_matrix/federation/v1/event/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid>

use axum::extract::State;
use ruma::api::federation::event::get_event::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.event.get_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let pdu = rooms.event_for_server(&origin, &request.event_id).await.map_err(failure::read)?;
    Ok(Outgoing(Response::new(rooms.server_name().to_owned(), rooms.now(), pdu)))
}
