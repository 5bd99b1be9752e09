//! `GET /_matrix/client/v3/keys/changes`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>

use axum::extract::State;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_sync::{DeviceLists, Sync};

use crate::{extract::QueryArgs, sync::sync_answer};

/// The query. Where the list ends is only a hint: what is newer does no harm.
#[derive(Debug, Deserialize)]
pub(crate) struct Args {
    from: String,
}

#[instrument(name = "client_api.keys.get_key_changes", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<DeviceLists>, MatrixError> {
    sync.key_changes(&actor, &args.from).await.map(OutgoingJson).map_err(sync_answer)
}
