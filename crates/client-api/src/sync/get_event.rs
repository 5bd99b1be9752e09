//! `GET /_matrix/client/v3/events/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid>

use axum::extract::State;
use ruma::OwnedEventId;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;

use crate::{extract::PathArgs, room::answer};

#[instrument(name = "client_api.sync.get_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((event_id,)): PathArgs<(OwnedEventId,)>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    let event = rooms.event_of_any_room(&actor, &event_id).await;
    event.map(OutgoingJson).map_err(answer::read)
}
