//! `GET /.well-known/matrix/client`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient>

use std::sync::Arc;

use axum::extract::State;
use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Response};
use vestibule_http::{MatrixError, Outgoing};

use crate::ClientApiSettings;

pub(crate) async fn handle(
    State(settings): State<Arc<ClientApiSettings>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let base_url = settings.public_base_url.clone();
    let base_url = base_url.ok_or_else(|| MatrixError::not_found("nothing is published here"))?;
    Ok(Outgoing(Response::new(HomeserverInfo::new(base_url))))
}
