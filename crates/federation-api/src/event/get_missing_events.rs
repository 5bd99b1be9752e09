//! `POST /_matrix/federation/v1/get_missing_events/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid>

use axum::extract::State;
use ruma::api::federation::event::get_missing_events::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{MissingEvents, Rooms};

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.event.get_missing_events", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let query = MissingEvents {
        latest: request.latest_events,
        earliest: request.earliest_events,
        limit: usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX),
        min_depth: request.min_depth.into(),
    };
    let events = rooms.missing_events_for_server(&origin, &request.room_id, query).await;
    Ok(Outgoing(Response::new(events.map_err(failure::read)?)))
}
