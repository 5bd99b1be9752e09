//! `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync` (MSC4186)

use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::Availability;
use vestibule_sync::{SlidingRequest, SlidingResponse, Sync};

use super::sliding_answer;
use crate::extract::QueryArgs;

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Args {
    pos: Option<String>,
    timeout: u64,
    set_presence: Availability,
}

#[instrument(name = "client_api.sync.sliding_sync", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
    IncomingJson(body): IncomingJson<SlidingRequest>,
) -> Result<OutgoingJson<SlidingResponse>, MatrixError> {
    let request = SlidingRequest {
        pos: args.pos,
        timeout: Duration::from_millis(args.timeout),
        presence: args.set_presence,
        ..body
    };
    sync.sliding_sync(&actor, request).await.map(OutgoingJson).map_err(sliding_answer)
}
