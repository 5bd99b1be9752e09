//! `POST /_matrix/client/v3/keys/upload`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{Json, Keys, ObjectError, UploadKeys, UploadKeysError};

use super::object_answer;
use crate::failure;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "device_keys")]
    identity: Option<Json>,
    #[serde(rename = "one_time_keys")]
    one_time: Option<BTreeMap<String, Json>>,
    #[serde(rename = "fallback_keys")]
    fallback: Option<BTreeMap<String, Json>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    one_time_key_counts: BTreeMap<String, u64>,
}

#[instrument(name = "client_api.keys.upload_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let command = UploadKeys {
        device_keys: body.identity,
        one_time_keys: body.one_time.unwrap_or_default(),
        fallback_keys: body.fallback.unwrap_or_default(),
    };
    let one_time_key_counts = keys.upload_keys(&actor, command).await.map_err(answer)?;
    Ok(OutgoingJson(Answer { one_time_key_counts }))
}

pub(crate) fn answer(error: UploadKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        UploadKeysError::Object(ObjectError::NotOwn) => MatrixError::bad_json(message),
        UploadKeysError::Object(error) => object_answer(&error),
        // Clients know this code with these words.
        UploadKeysError::Conflict(_) => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        UploadKeysError::NoDevice
        | UploadKeysError::NamedLikeAKey
        | UploadKeysError::TwoFallbacks => MatrixError::invalid_param(message),
        UploadKeysError::TooMany => MatrixError::too_large(message),
        UploadKeysError::Denied(denial) => denial.into(),
        UploadKeysError::Storage(cause) => failure::storage(cause),
    }
}
