//! `GET /.well-known/matrix/policy_server`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixpolicy_server>

use std::sync::Arc;

use axum::extract::State;
use ruma::api::client::discovery::discover_policy_server::Response;
use vestibule_http::{MatrixError, Outgoing};

use crate::ClientApiSettings;

pub(crate) async fn handle(
    State(settings): State<Arc<ClientApiSettings>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let key = settings.policy_server_key.clone();
    let key = key.ok_or_else(|| MatrixError::not_found("there is no policy server here"))?;
    Ok(Outgoing(Response::new(key)))
}
