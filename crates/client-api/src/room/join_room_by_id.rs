//! `POST /_matrix/client/v3/rooms/{roomId}/join`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::join_room_by_id::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use super::{answer, body::JoinBody};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.join_room_by_id", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<JoinBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = body.join(room_id, Vec::new())?;
    let room_id = rooms.join(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new(room_id)))
}
