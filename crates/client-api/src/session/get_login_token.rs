//! `POST /_matrix/client/v1/login/get_token`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token>

use axum::extract::State;
use http::StatusCode;
use ruma::api::{client::session::get_login_token::v1::Response, error::ErrorKind};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, RequestLoginTokenError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Auth>,
}

#[instrument(name = "client_api.session.get_login_token", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let attempt = uiaa::attempt(body.auth)?;
    let made = accounts.request_login_token(&actor, attempt, peer).await.map_err(answer)?;
    Ok(Outgoing(Response::new(made.expires_in, made.token.expose().clone())))
}

fn answer(error: RequestLoginTokenError) -> MatrixError {
    let message = error.to_string();
    match error {
        RequestLoginTokenError::Off => MatrixError::unrecognized(),
        RequestLoginTokenError::NoProof => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        RequestLoginTokenError::Limited(wait) => MatrixError::limit_exceeded(wait),
        RequestLoginTokenError::Uia(error) => uiaa::answer(error),
        RequestLoginTokenError::Storage(cause) => failure::storage(cause),
    }
}
