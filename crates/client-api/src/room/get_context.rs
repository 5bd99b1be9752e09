//! `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>

use axum::extract::State;
use ruma::api::client::context::get_context::v3::Request;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{ContextQuery, Rooms};

use super::answer;
use crate::extract::Related;

/// An event with what happened around it.
#[derive(Debug, Serialize)]
pub(crate) struct Surroundings {
    event: Box<RawValue>,
    events_before: Vec<Box<RawValue>>,
    events_after: Vec<Box<RawValue>>,
    start: String,
    end: String,
    state: Vec<Box<RawValue>>,
}

#[instrument(name = "client_api.room.get_context", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Related(related_by): Related,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Surroundings>, MatrixError> {
    let query = ContextQuery {
        room_id: request.room_id,
        event_id: request.event_id,
        limit: usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX),
        filter: request.filter,
        related_by,
    };
    let context = rooms.context(&actor, query).await.map_err(answer::read)?;
    Ok(OutgoingJson(Surroundings {
        event: context.event,
        events_before: context.before,
        events_after: context.after,
        start: context.start,
        end: context.end,
        state: context.state,
    }))
}
