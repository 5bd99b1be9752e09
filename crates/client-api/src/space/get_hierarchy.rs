//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>

use axum::extract::State;
use ruma::api::client::space::get_hierarchy::v1::Request;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{HierarchyQuery, RoomSummary, Rooms, SpaceRoom};

use crate::{extract::page_size, room::answer};

/// Rooms on one page when the client names no number.
const PAGE: usize = 50;

/// A page of a space.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    rooms: Vec<Room>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[derive(Debug, Serialize)]
struct Room {
    #[serde(flatten)]
    summary: RoomSummary,
    children_state: Vec<Box<RawValue>>,
}

#[instrument(name = "client_api.space.get_hierarchy", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let query = HierarchyQuery {
        room_id: request.room_id,
        from: request.from,
        limit: page_size(request.limit, PAGE)?,
        max_depth: request.max_depth.map(u64::from),
        suggested_only: request.suggested_only,
    };
    let page = rooms.hierarchy(&actor, query).await.map_err(answer::read)?;
    let rooms = page.rooms.into_iter().map(shown).collect();
    Ok(OutgoingJson(Page { rooms, next_batch: page.next }))
}

fn shown(room: SpaceRoom) -> Room {
    Room { summary: room.summary, children_state: room.children }
}
