//! `POST /_matrix/client/v3/refresh`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh>

use axum::extract::State;
use ruma::api::client::session::refresh_token::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, RefreshError};
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_types::Secret;

use super::log_in::locked;
use crate::failure;

#[instrument(name = "client_api.session.refresh_token", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let token = Secret::new(request.refresh_token);
    let session = accounts.refresh(&token).await.map_err(answer)?;
    let mut response = Response::new(session.access_token.expose().clone());
    response.refresh_token = session.refresh_token.map(|token| token.expose().clone());
    response.expires_in_ms = session.expires_in;
    Ok(Outgoing(response))
}

fn answer(error: RefreshError) -> MatrixError {
    let message = error.to_string();
    match error {
        RefreshError::Unknown => MatrixError::unknown_token(false),
        RefreshError::Locked => locked(message),
        RefreshError::Storage(cause) => failure::storage(cause),
    }
}
