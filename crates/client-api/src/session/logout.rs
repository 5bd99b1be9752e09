//! `POST /_matrix/client/v3/logout`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout>

use axum::extract::State;
use ruma::api::client::session::logout::v3::Response;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.session.logout", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<Outgoing<Response>, MatrixError> {
    accounts.log_out(&actor).await.map_err(failure::storage)?;
    Ok(Outgoing(Response::new()))
}
