//! `POST /_matrix/client/v3/keys/claim`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{ClaimKeys, ClaimKeysError, ClaimedKeys, Claims, Keys};

use super::failures;
use crate::failure;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    one_time_keys: Claims,
    timeout: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    one_time_keys: ClaimedKeys,
    failures: BTreeMap<String, Value>,
}

#[instrument(name = "client_api.keys.claim_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(Body { one_time_keys, timeout }): IncomingJson<Body>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let command = ClaimKeys { one_time_keys, timeout: timeout.map(Duration::from_millis) };
    let claimed = keys.claim_keys(&actor, command).await.map_err(answer)?;
    let failures = failures(claimed.failures);
    Ok(OutgoingJson(Answer { one_time_keys: claimed.one_time_keys, failures }))
}

fn answer(error: ClaimKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        ClaimKeysError::TooMany => MatrixError::too_large(message),
        ClaimKeysError::Denied(denial) => denial.into(),
        ClaimKeysError::Storage(cause) => failure::storage(cause),
    }
}
