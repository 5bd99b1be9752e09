//! `DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomidsessionid>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, backup::Which};

use super::{
    answer,
    wire::{ShownState, Version},
};
use crate::extract::{PathArgs, QueryArgs};

#[instrument(name = "client_api.backup.delete_backup_keys_for_session", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((room, session)): PathArgs<(String, String)>,
    QueryArgs(Version { version }): QueryArgs<Version>,
) -> Result<OutgoingJson<ShownState>, MatrixError> {
    let which = Which::Session(room, session);
    let left = keys.delete_room_keys(actor.user_id(), &version, which).await;
    Ok(OutgoingJson(left.map_err(answer)?.into()))
}
