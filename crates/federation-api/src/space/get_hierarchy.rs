//! `GET /_matrix/federation/v1/hierarchy/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid>

use axum::extract::State;
use ruma::{OwnedRoomId, api::federation::space::get_hierarchy::v1::Request};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{RoomSummary, Rooms, SpaceForServer};

use crate::{failure, guard::Origin};

/// A space and its children.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    room: Space,
    children: Vec<RoomSummary>,
    inaccessible_children: Vec<OwnedRoomId>,
}

#[derive(Debug, Serialize)]
struct Space {
    #[serde(flatten)]
    summary: RoomSummary,
    children_state: Vec<Box<RawValue>>,
}

#[instrument(name = "federation_api.space.get_hierarchy", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let found = rooms.hierarchy_for_server(&origin, &request.room_id, request.suggested_only).await;
    let SpaceForServer { summary, children_state, children, inaccessible } =
        found.map_err(failure::read)?;
    Ok(OutgoingJson(Answer {
        room: Space { summary, children_state },
        children,
        inaccessible_children: inaccessible,
    }))
}
