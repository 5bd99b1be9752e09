//! `PUT /_matrix/client/v3/room_keys/version/{version}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion>

use axum::extract::State;
use ruma::api::client::backup::update_backup_version::v3::Response;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_keys::{Keys, backup::UpdateBackup};

use super::{
    update_answer,
    wire::{NewBackupBody, raw},
};
use crate::extract::PathArgs;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(flatten)]
    backup: NewBackupBody,
    version: Option<String>,
}

#[instrument(name = "client_api.backup.update_backup_version", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((version,)): PathArgs<(String,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = UpdateBackup {
        algorithm: body.backup.algorithm,
        auth_data: raw(&body.backup.auth_data)?,
        version: body.version,
    };
    keys.update_backup(actor.user_id(), &version, command).await.map_err(update_answer)?;
    Ok(Outgoing(Response::new()))
}
