//! `GET /_matrix/client/v3/initialSync`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync>

use axum::extract::State;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_sync::{Everything, Sync};

use super::sync_answer;
use crate::extract::QueryArgs;

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Args {
    limit: Option<usize>,
    archived: bool,
}

#[instrument(name = "client_api.sync.initial_sync", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<Everything>, MatrixError> {
    let everything = sync.everything(&actor, args.limit, args.archived).await;
    everything.map(OutgoingJson).map_err(sync_answer)
}
