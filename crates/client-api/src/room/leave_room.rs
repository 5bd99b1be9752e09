//! `POST /_matrix/client/v3/rooms/{roomId}/leave`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave>

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::{Leave, Rooms};

use super::{answer, body::ReasonBody};
use crate::extract::PathArgs;

/// Empty, but for a note to the last one who could change the room's power levels.
#[derive(Debug, Serialize)]
pub(crate) struct Left {
    #[serde(rename = "org.vestibule.note", skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[instrument(name = "client_api.room.leave_room", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<ReasonBody>,
) -> Result<OutgoingJson<Left>, MatrixError> {
    let command = Leave { room_id, reason: body.reason };
    let note = rooms.leave(&actor, command).await.map_err(answer::membership)?;
    Ok(OutgoingJson(Left { note: answer::guard_note(note) }))
}
