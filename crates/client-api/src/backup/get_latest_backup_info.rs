//! `GET /_matrix/client/v3/room_keys/version`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::Keys;

use super::{answer, wire::ShownBackup};

#[instrument(name = "client_api.backup.get_latest_backup_info", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<ShownBackup>, MatrixError> {
    let backup = keys.backup(actor.user_id(), None).await.map_err(answer)?;
    Ok(OutgoingJson(backup.into()))
}
