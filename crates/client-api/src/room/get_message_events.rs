//! `GET /_matrix/client/v3/rooms/{roomId}/messages`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>

use axum::extract::State;
use ruma::api::{Direction as Way, client::message::get_message_events::v3::Request};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{Direction, MessagesQuery, Rooms};

use super::answer;
use crate::extract::Related;

/// A page of history.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    chunk: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<Box<RawValue>>,
}

#[instrument(name = "client_api.room.get_message_events", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Related(related_by): Related,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let direction = match request.dir {
        Way::Backward => Direction::Backward,
        Way::Forward => Direction::Forward,
    };
    let query = MessagesQuery {
        room_id: request.room_id,
        direction,
        from: request.from,
        to: request.to,
        limit: usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX),
        filter: request.filter,
        related_by,
    };
    let page = rooms.messages(&actor, query).await.map_err(answer::read)?;
    let (start, end) = (page.start, page.end);
    Ok(OutgoingJson(Page { start, end, chunk: page.chunk, state: page.state }))
}
