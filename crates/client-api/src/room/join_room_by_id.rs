//! `POST /_matrix/client/v3/rooms/{roomId}/join`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::join_room_by_id::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Join, Rooms};

use super::{answer, body::ReasonBody};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.join_room_by_id", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<ReasonBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = Join { room_id, reason: body.reason, via: Vec::new() };
    let room_id = rooms.join(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new(room_id)))
}
