//! `POST /_matrix/client/v3/rooms/{roomId}/invite`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>
//! <https://spec.matrix.org/v1.19/client-server-api/#thirdparty_post_matrixclientv3roomsroomidinvite>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::invite_user::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use super::{
    answer,
    body::{InviteBody, Invited},
};
use crate::extract::PathArgs;

#[instrument(name = "client_api.room.invite_user", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<InviteBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let invited = match body.invited(room_id)? {
        Invited::User(command) => rooms.invite(&actor, command).await,
        Invited::Address(command) => rooms.invite_by_address(&actor, command).await,
    };
    invited.map_err(answer::membership)?;
    Ok(Outgoing(Response::new()))
}
