//! `GET /_matrix/client/v1/register/m.login.registration_token/validity`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity>

use axum::extract::State;
use ruma::api::client::account::check_registration_token_validity::v1::{Request, Response};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{ClientAddress, Incoming, MatrixError, Outgoing};

use super::get_username_availability::answer;

#[instrument(name = "client_api.account.check_registration_token_validity", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let valid = accounts.registration_token_valid(&request.token, peer).await.map_err(answer)?;
    Ok(Outgoing(Response::new(valid)))
}
