//! `GET /.well-known/matrix/server`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver>

use std::sync::Arc;

use axum::extract::State;
use ruma::api::federation::discovery::discover_homeserver::Response;
use vestibule_http::{MatrixError, Outgoing};

use crate::FederationApiSettings;

pub(crate) async fn handle(
    State(settings): State<Arc<FederationApiSettings>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let server = settings.well_known_server.clone();
    let server = server.ok_or_else(|| MatrixError::not_found("nothing is published here"))?;
    Ok(Outgoing(Response::new(server)))
}
