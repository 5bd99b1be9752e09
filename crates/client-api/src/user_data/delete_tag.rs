//! `DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3useruseridroomsroomidtagstag>

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, api::client::tag::delete_tag::v3::Response};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, ClientAddress, MatrixError, Outgoing};

use super::tag_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.delete_tag", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, room_id, tag)): PathArgs<(OwnedUserId, OwnedRoomId, String)>,
) -> Result<Outgoing<Response>, MatrixError> {
    let set = accounts.set_tag(&actor, (user_id, room_id), (tag, None), Some(peer)).await;
    set.map_err(tag_answer)?;
    Ok(Outgoing(Response::new()))
}
