//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid>

use axum::extract::State;
use ruma::api::client::relations::get_relating_events::v1::Request;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{RelationsQuery, Rooms};

use super::{Page, direction, page, size};
use crate::room::answer;

#[instrument(name = "client_api.relation.get_relating_events", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let query = RelationsQuery {
        room_id: request.room_id,
        event_id: request.event_id,
        rel_type: None,
        event_type: None,
        direction: direction(request.dir),
        from: request.from,
        to: request.to,
        limit: size(request.limit),
        recurse: request.recurse,
    };
    rooms.relations(&actor, query).await.map(page).map_err(answer::read)
}
