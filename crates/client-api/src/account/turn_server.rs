//! `GET /_matrix/client/v3/voip/turnServer`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver>

use axum::extract::State;
use serde::Serialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, TurnCredentials};
use vestibule_http::{Caller, MatrixError, OutgoingJson};

/// What a client shows the TURN server.
#[derive(Debug, Serialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    uris: Vec<String>,
    ttl: u64,
}

/// Clients take a 404 for a server without one.
#[instrument(name = "client_api.account.turn_server", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Credentials>, MatrixError> {
    let credentials = accounts.turn_credentials(actor.user_id());
    let credentials =
        credentials.ok_or_else(|| MatrixError::not_found("this server has no TURN server"))?;
    let TurnCredentials { username, password, uris, ttl } = credentials;
    Ok(OutgoingJson(Credentials { username, password: password.expose().clone(), uris, ttl }))
}
