//! `GET /_matrix/client/v3/sync`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>

use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_rooms::Availability;
use vestibule_sync::{Sync, SyncRequest, SyncResponse};

use super::sync_answer;
use crate::extract::QueryArgs;

/// The query. The filter is kept as it came.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Args {
    filter: Option<String>,
    since: Option<String>,
    full_state: bool,
    timeout: u64,
    use_state_after: bool,
    /// The name it had before it was in the specification, which clients still use.
    #[serde(rename = "org.matrix.msc4222.use_state_after")]
    old_use_state_after: bool,
    set_presence: Availability,
}

#[instrument(name = "client_api.sync.sync_events", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<SyncResponse>, MatrixError> {
    let request = SyncRequest {
        since: args.since,
        filter: args.filter,
        full_state: args.full_state,
        timeout: Duration::from_millis(args.timeout),
        use_state_after: args.use_state_after || args.old_use_state_after,
        presence: args.set_presence,
    };
    let by_its_old_name = args.old_use_state_after && !args.use_state_after;
    let answer = sync.sync(&actor, request).await.map_err(sync_answer)?;
    Ok(OutgoingJson(answer.with_state_named(by_its_old_name)))
}
