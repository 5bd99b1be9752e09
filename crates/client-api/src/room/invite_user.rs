//! `POST /_matrix/client/v3/rooms/{roomId}/invite`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::invite_user::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Invite, Rooms};

use super::{answer, body::MemberBody};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.invite_user", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<MemberBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = Invite { room_id, user_id: body.user_id, reason: body.reason };
    rooms.invite(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new()))
}
