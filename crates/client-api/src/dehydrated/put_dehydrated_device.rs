//! `PUT /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device` (MSC3814)

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{Json, Keys, PutDehydratedDevice, PutDehydratedDeviceError, UploadKeys};

use super::Named;
use crate::{failure, keys};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    device_id: OwnedDeviceId,
    device_data: Json,
    initial_device_display_name: Option<String>,
    device_keys: Option<Json>,
    one_time_keys: Option<BTreeMap<String, Json>>,
    fallback_keys: Option<BTreeMap<String, Json>>,
}

#[instrument(name = "client_api.dehydrated.put_dehydrated_device", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Named>, MatrixError> {
    let command = PutDehydratedDevice {
        device_id: body.device_id,
        data: body.device_data,
        display_name: body.initial_device_display_name,
        keys: UploadKeys {
            device_keys: body.device_keys,
            one_time_keys: body.one_time_keys.unwrap_or_default(),
            fallback_keys: body.fallback_keys.unwrap_or_default(),
        },
    };
    let device_id = keys.put_dehydrated_device(&actor, command).await.map_err(answer)?;
    Ok(OutgoingJson(Named { device_id }))
}

fn answer(error: PutDehydratedDeviceError) -> MatrixError {
    let message = error.to_string();
    match error {
        PutDehydratedDeviceError::BadName | PutDehydratedDeviceError::Taken => {
            MatrixError::invalid_param(message)
        }
        PutDehydratedDeviceError::NoIdentity => MatrixError::missing_param(message),
        PutDehydratedDeviceError::BadData(_) => MatrixError::bad_json(message),
        PutDehydratedDeviceError::TooLarge => MatrixError::too_large(message),
        PutDehydratedDeviceError::Keys(error) => keys::upload_answer(error),
        PutDehydratedDeviceError::Denied(denial) => denial.into(),
        PutDehydratedDeviceError::Storage(cause) => failure::storage(cause),
    }
}
