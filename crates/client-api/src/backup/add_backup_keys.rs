//! `PUT /_matrix/client/v3/room_keys/keys`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys>

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::Keys;

use super::{
    put_answer,
    wire::{RoomsBody, ShownState, Version},
};
use crate::extract::QueryArgs;

#[instrument(name = "client_api.backup.add_backup_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    QueryArgs(Version { version }): QueryArgs<Version>,
    IncomingJson(body): IncomingJson<RoomsBody>,
) -> Result<OutgoingJson<ShownState>, MatrixError> {
    let put = keys.put_room_keys(actor.user_id(), &version, body.into_keys()?).await;
    Ok(OutgoingJson(put.map_err(put_answer)?.into()))
}
