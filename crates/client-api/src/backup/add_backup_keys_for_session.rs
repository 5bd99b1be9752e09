//! `PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, backup::KeysOfRooms};

use super::{
    put_answer,
    wire::{KeyBody, ShownState, Version},
};
use crate::extract::{PathArgs, QueryArgs};

#[instrument(name = "client_api.backup.add_backup_keys_for_session", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    PathArgs((room, session)): PathArgs<(String, String)>,
    QueryArgs(Version { version }): QueryArgs<Version>,
    IncomingJson(body): IncomingJson<KeyBody>,
) -> Result<OutgoingJson<ShownState>, MatrixError> {
    let of_rooms = KeysOfRooms::from([(room, [(session, body.into_key()?)].into())]);
    let put = keys.put_room_keys(actor.user_id(), &version, of_rooms).await;
    Ok(OutgoingJson(put.map_err(put_answer)?.into()))
}
