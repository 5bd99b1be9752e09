//! `GET /_matrix/client/v3/room_keys/version/{version}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::Keys;

use super::{answer, wire::ShownBackup};
use crate::extract::PathArgs;

#[instrument(name = "client_api.backup.get_backup_info", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((version,)): PathArgs<(String,)>,
) -> Result<OutgoingJson<ShownBackup>, MatrixError> {
    let backup = keys.backup(actor.user_id(), Some(&version)).await.map_err(answer)?;
    Ok(OutgoingJson(backup.into()))
}
