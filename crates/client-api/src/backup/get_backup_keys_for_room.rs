//! `GET /_matrix/client/v3/room_keys/keys/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, backup::Which};

use super::{
    answer,
    wire::{RoomBody, Version},
};
use crate::extract::{PathArgs, QueryArgs};

#[instrument(name = "client_api.backup.get_backup_keys_for_room", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((room,)): PathArgs<(String,)>,
    QueryArgs(Version { version }): QueryArgs<Version>,
) -> Result<OutgoingJson<RoomBody>, MatrixError> {
    let which = Which::Room(room.clone());
    let mut found = keys.room_keys(actor.user_id(), &version, which).await.map_err(answer)?;
    RoomBody::of(found.remove(&room).unwrap_or_default()).map(OutgoingJson)
}
