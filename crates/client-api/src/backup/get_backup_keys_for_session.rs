//! `GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::Keys;

use super::{
    answer,
    wire::{KeyBody, Version},
};
use crate::extract::{PathArgs, QueryArgs};

#[instrument(name = "client_api.backup.get_backup_keys_for_session", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((room, session)): PathArgs<(String, String)>,
    QueryArgs(Version { version }): QueryArgs<Version>,
) -> Result<OutgoingJson<KeyBody>, MatrixError> {
    let key = keys.room_key(actor.user_id(), &version, (room, session)).await.map_err(answer)?;
    KeyBody::of(key).map(OutgoingJson)
}
