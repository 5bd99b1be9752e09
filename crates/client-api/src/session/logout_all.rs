//! `POST /_matrix/client/v3/logout/all`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall>

use axum::extract::State;
use ruma::api::client::session::logout_all::v3::Response;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.session.logout_all", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<Outgoing<Response>, MatrixError> {
    accounts.log_out_all(&actor).await.map_err(failure::storage)?;
    Ok(Outgoing(Response::new()))
}
