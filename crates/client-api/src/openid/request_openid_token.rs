//! `POST /_matrix/client/v3/user/{userId}/openid/request_token`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token>

use axum::extract::State;
use ruma::{
    api::client::account::request_openid_token::v3::{Request, Response},
    authentication::TokenType,
};
use tracing::instrument;
use vestibule_accounts::{Accounts, RequestOpenidTokenError};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.openid.request_openid_token", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let made = accounts.request_openid_token(&actor, &request.user_id).await.map_err(answer)?;
    let token = made.token.expose().to_owned();
    let server = accounts.server_name().to_owned();
    Ok(Outgoing(Response::new(token, TokenType::Bearer, server, made.expires_in)))
}

fn answer(error: RequestOpenidTokenError) -> MatrixError {
    match error {
        RequestOpenidTokenError::SomebodyElse => MatrixError::forbidden(error.to_string()),
        RequestOpenidTokenError::Limited(wait) => MatrixError::limit_exceeded(wait),
        RequestOpenidTokenError::Storage(cause) => failure::storage(cause),
    }
}
