//! `GET /_matrix/client/v3/room_keys/keys`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeys>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, backup::Which};

use super::{
    answer,
    wire::{RoomsBody, Version},
};
use crate::extract::QueryArgs;

#[instrument(name = "client_api.backup.get_backup_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    QueryArgs(Version { version }): QueryArgs<Version>,
) -> Result<OutgoingJson<RoomsBody>, MatrixError> {
    let found = keys.room_keys(actor.user_id(), &version, Which::All).await.map_err(answer)?;
    RoomsBody::of(found).map(OutgoingJson)
}
