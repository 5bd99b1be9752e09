//! `GET /_matrix/client/v3/events`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events>

use std::time::Duration;

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_sync::{Heard, Listen, Sync};

use super::listen_answer;
use crate::extract::QueryArgs;

/// The query. With a room, the stream is that of the room.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Args {
    from: Option<String>,
    timeout: u64,
    room_id: Option<OwnedRoomId>,
}

#[instrument(name = "client_api.sync.listen_to_new_events", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<Heard>, MatrixError> {
    let Args { from, timeout, room_id } = args;
    let listen = Listen { from, timeout: Duration::from_millis(timeout), room_id };
    sync.listen(&actor, listen).await.map(OutgoingJson).map_err(listen_answer)
}
