//! `GET /_matrix/key/v2/server`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server>

use axum::extract::State;
use ruma::api::federation::discovery::get_server_keys::v2::Response;
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{MatrixError, Outgoing};

use super::{raw, unpublished};

#[instrument(name = "federation_api.server_keys.get_server_keys", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
) -> Result<Outgoing<Response>, MatrixError> {
    let keys = federation.key_ring().published().await.map_err(unpublished)?;
    Ok(Outgoing(Response::new(raw(&keys)?)))
}
