//! `DELETE /_matrix/client/v3/room_keys/version/{version}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion>

use axum::extract::State;
use ruma::api::client::backup::delete_backup_version::v3::Response;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, Outgoing};
use vestibule_keys::Keys;

use super::answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.backup.delete_backup_version", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((version,)): PathArgs<(String,)>,
) -> Result<Outgoing<Response>, MatrixError> {
    keys.delete_backup(actor.user_id(), &version).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}
