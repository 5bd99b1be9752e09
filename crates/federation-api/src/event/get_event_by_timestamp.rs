//! `GET /_matrix/federation/v1/timestamp_to_event/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid>

use axum::extract::State;
use ruma::api::{
    Direction as Asked,
    federation::event::get_event_by_timestamp::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{Direction, Rooms};

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.event.get_event_by_timestamp", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let direction = match request.dir {
        Asked::Forward => Direction::Forward,
        Asked::Backward => Direction::Backward,
    };
    let found = rooms.event_at_for_server(&origin, &request.room_id, request.ts, direction).await;
    let found = found.map_err(failure::read)?;
    Ok(Outgoing(Response::new(found.event_id, found.at)))
}
