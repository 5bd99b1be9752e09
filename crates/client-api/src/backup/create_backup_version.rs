//! `POST /_matrix/client/v3/room_keys/version`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion>

use axum::extract::State;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, backup::NewBackup};

use super::{
    update_answer,
    wire::{NewBackupBody, raw},
};

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    version: String,
}

#[instrument(name = "client_api.backup.create_backup_version", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(body): IncomingJson<NewBackupBody>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let command = NewBackup { algorithm: body.algorithm, auth_data: raw(&body.auth_data)? };
    let version = keys.create_backup(actor.user_id(), command).await.map_err(update_answer)?;
    Ok(OutgoingJson(Answer { version }))
}
