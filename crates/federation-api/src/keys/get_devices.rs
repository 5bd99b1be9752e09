//! `GET /_matrix/federation/v1/user/devices/{userId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid>

use axum::extract::State;
use ruma::{OwnedDeviceId, OwnedUserId, api::federation::device::get_devices::v1::Request};
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_keys::{Json, Keys, OwnDevice, OwnDeviceList};

use crate::{failure, guard::Origin};

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    user_id: OwnedUserId,
    stream_id: u64,
    devices: Vec<Device>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master_key: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_signing_key: Option<Json>,
}

#[derive(Debug, Serialize)]
struct Device {
    #[serde(rename = "device_id")]
    id: OwnedDeviceId,
    keys: Json,
    #[serde(rename = "device_display_name", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[instrument(name = "federation_api.keys.get_devices", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Origin(_): Origin,
    Incoming(Request { user_id, .. }): Incoming<Request>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let list = keys.device_list(&user_id).await.map_err(failure::storage)?;
    let list = list.ok_or_else(|| MatrixError::not_found("there is no such user here"))?;
    Ok(OutgoingJson(shown(user_id, list)))
}

fn shown(user_id: OwnedUserId, list: OwnDeviceList) -> Answer {
    let OwnDeviceList { stream_id, devices, master_key, self_signing_key } = list;
    let device = |OwnDevice { device_id, keys, display_name }| Device {
        id: device_id,
        keys,
        name: display_name,
    };
    let devices = devices.into_iter().map(device).collect();
    Answer { user_id, stream_id, devices, master_key, self_signing_key }
}
