//! `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidtagstag>

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, api::client::tag::create_tag::v3::Response};
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::tag_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.create_tag", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, room_id, tag)): PathArgs<(OwnedUserId, OwnedRoomId, String)>,
    IncomingJson(info): IncomingJson<Map<String, Value>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let change = (tag, Some(info));
    let set = accounts.set_tag(&actor, (user_id, room_id), change, Some(peer)).await;
    set.map_err(tag_answer)?;
    Ok(Outgoing(Response::new()))
}
