//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidtags>

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use super::tag_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.get_tags", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((user_id, room_id)): PathArgs<(OwnedUserId, OwnedRoomId)>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let tags = accounts.tags(&actor, user_id, room_id).await.map_err(tag_answer)?;
    Ok(OutgoingJson(json!({ "tags": tags })))
}
