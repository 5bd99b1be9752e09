//! `GET /_matrix/federation/v1/openid/userinfo`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo>

use axum::extract::State;
use ruma::api::federation::openid::get_openid_userinfo::v1::Response;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{MatrixError, Outgoing, QueryArgs};

use crate::failure;

/// A request without a token is answered as one without a login is, not as a malformed one.
#[derive(Deserialize)]
pub(crate) struct Shown {
    access_token: Option<String>,
}

#[instrument(name = "federation_api.openid.get_openid_userinfo", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    QueryArgs(shown): QueryArgs<Shown>,
) -> Result<Outgoing<Response>, MatrixError> {
    let token = shown.access_token.ok_or_else(MatrixError::missing_token)?;
    let user = accounts.openid_user(&token).await.map_err(failure::storage)?;
    let user = user.ok_or_else(|| MatrixError::unknown_token(false))?;
    Ok(Outgoing(Response::new(user)))
}
