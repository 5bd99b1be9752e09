//! `POST /_matrix/client/v3/keys/query`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, QueryKeys, QueryKeysError, ShownKeys};

use super::failures;
use crate::{by_user::ByUser, failure};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    device_keys: ByUser<Vec<OwnedDeviceId>>,
    timeout: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    #[serde(flatten)]
    keys: ShownKeys,
    failures: BTreeMap<String, Value>,
}

#[instrument(name = "client_api.keys.get_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(Body { device_keys, timeout }): IncomingJson<Body>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let timeout = timeout.map(Duration::from_millis);
    let command = QueryKeys { device_keys: device_keys.0, timeout };
    let queried = keys.query_keys(&actor, command).await.map_err(answer)?;
    Ok(OutgoingJson(Answer { keys: queried.keys, failures: failures(queried.failures) }))
}

fn answer(error: QueryKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        QueryKeysError::TooMany => MatrixError::too_large(message),
        QueryKeysError::Denied(denial) => denial.into(),
        QueryKeysError::Storage(cause) => failure::storage(cause),
    }
}
