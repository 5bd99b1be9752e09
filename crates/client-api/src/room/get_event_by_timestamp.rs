//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>

use axum::extract::State;
use ruma::api::{
    Direction as Way,
    client::room::get_event_by_timestamp::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::{Direction, Rooms};

use super::answer;

#[instrument(name = "client_api.room.get_event_by_timestamp", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let direction = match request.dir {
        Way::Backward => Direction::Backward,
        Way::Forward => Direction::Forward,
    };
    let found = rooms.event_at(&actor, &request.room_id, request.ts, direction).await;
    let found = found.map_err(answer::read)?;
    Ok(Outgoing(Response::new(found.event_id, found.at)))
}
