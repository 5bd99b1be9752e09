//! `GET /_matrix/client/v3/register/available`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable>

use axum::extract::State;
use ruma::api::client::account::get_username_availability::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, AvailableError};
use vestibule_http::{ClientAddress, Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.account.get_username_availability", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    accounts.username_available(&request.username, peer).await.map_err(answer)?;
    Ok(Outgoing(Response::new(true)))
}

pub(super) fn answer(error: AvailableError) -> MatrixError {
    let message = error.to_string();
    match error {
        AvailableError::Closed => MatrixError::forbidden(message),
        AvailableError::Username(error) => failure::username(error),
        AvailableError::Taken => failure::taken(message),
        AvailableError::Limited(wait) => MatrixError::limit_exceeded(wait),
        AvailableError::Storage(cause) => failure::storage(cause),
    }
}
