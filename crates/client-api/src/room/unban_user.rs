//! `POST /_matrix/client/v3/rooms/{roomId}/unban`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::unban_user::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{ChangeMember, Rooms};

use super::{answer, body::MemberBody};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.unban_user", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<MemberBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = ChangeMember { room_id, user_id: body.user_id, reason: body.reason };
    rooms.unban(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new()))
}
