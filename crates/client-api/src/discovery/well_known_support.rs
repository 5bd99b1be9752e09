//! `GET /.well-known/matrix/support`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>

use std::sync::Arc;

use axum::extract::State;
use ruma::api::client::discovery::discover_support::Response;
use vestibule_http::{MatrixError, Outgoing};

use crate::ClientApiSettings;

pub(crate) async fn handle(
    State(settings): State<Arc<ClientApiSettings>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let support = settings.support.as_ref();
    let support = support.ok_or_else(|| MatrixError::not_found("no contact is published here"))?;
    let mut response = Response::with_contacts(support.contacts.clone());
    response.support_page.clone_from(&support.page);
    Ok(Outgoing(response))
}
