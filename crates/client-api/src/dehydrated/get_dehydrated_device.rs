//! `GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device` (MSC3814)

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::{DehydratedDevice, Json, Keys};

use super::device_answer;

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    device_id: OwnedDeviceId,
    device_data: Json,
}

#[instrument(name = "client_api.dehydrated.get_dehydrated_device", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let DehydratedDevice { device_id, data } =
        keys.dehydrated_device(&actor).await.map_err(device_answer)?;
    Ok(OutgoingJson(Answer { device_id, device_data: data }))
}
