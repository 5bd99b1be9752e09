//! `POST /_matrix/federation/v1/user/keys/query`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery>

use axum::extract::State;
use ruma::api::federation::keys::get_keys::v1::Request;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_keys::{Keys, QueryKeysError, ShownKeys};

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.keys.get_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Origin(_): Origin,
    Incoming(Request { device_keys, .. }): Incoming<Request>,
) -> Result<OutgoingJson<ShownKeys>, MatrixError> {
    keys.query_keys_for_server(device_keys).await.map(OutgoingJson).map_err(answer)
}

fn answer(error: QueryKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        QueryKeysError::TooMany => MatrixError::too_large(message),
        QueryKeysError::Denied(denial) => denial.into(),
        QueryKeysError::Storage(cause) => failure::storage(cause),
    }
}
