//! `POST /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events`, the earlier
//! form of reading them (MSC3814)
//!
//! Every answer has a `next_batch`: its clients read on until one is empty.

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_sync::{RawEvent, Sync};

use super::events_answer;
use crate::extract::PathArgs;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    next_batch: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    events: Vec<RawEvent>,
    next_batch: String,
}

#[instrument(name = "client_api.dehydrated.get_events_by_body", skip_all)]
pub(crate) async fn handle(
    State(sync): State<Sync>,
    Caller(actor): Caller,
    PathArgs((device_id,)): PathArgs<(OwnedDeviceId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let told = sync.dehydrated_events(&actor, &device_id, body.next_batch.as_deref()).await;
    let told = told.map_err(events_answer)?;
    Ok(OutgoingJson(Answer { events: told.events, next_batch: told.next_batch }))
}
