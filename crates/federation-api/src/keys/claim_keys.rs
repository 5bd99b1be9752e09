//! `POST /_matrix/federation/v1/user/keys/claim`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim>

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{ClaimKeysError, ClaimedKeys, Claims, Keys};

use crate::{failure, guard::Origin};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    one_time_keys: Claims,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    one_time_keys: ClaimedKeys,
}

#[instrument(name = "federation_api.keys.claim_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Origin(origin): Origin,
    IncomingJson(Body { one_time_keys }): IncomingJson<Body>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let claimed = keys.claim_keys_for_server(&origin, one_time_keys).await.map_err(answer)?;
    Ok(OutgoingJson(Answer { one_time_keys: claimed }))
}

fn answer(error: ClaimKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        ClaimKeysError::TooMany => MatrixError::too_large(message),
        ClaimKeysError::Denied(denial) => denial.into(),
        ClaimKeysError::Storage(cause) => failure::storage(cause),
    }
}
