//! `GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events` (MSC3814)
//!
//! The last answer has no `next_batch`, as wherever the specification tells things in parts.

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_sync::{RawEvent, Sync};

use super::events_answer;
use crate::extract::{PathArgs, QueryArgs};

/// The query.
#[derive(Debug, Deserialize)]
pub(crate) struct Args {
    from: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    events: Vec<RawEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[instrument(name = "client_api.dehydrated.get_events", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    PathArgs((device_id,)): PathArgs<(OwnedDeviceId,)>,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let told = sync.dehydrated_events(&actor, &device_id, args.from.as_deref()).await;
    let told = told.map_err(events_answer)?;
    let next_batch = told.more.then_some(told.next_batch);
    Ok(OutgoingJson(Answer { events: told.events, next_batch }))
}
