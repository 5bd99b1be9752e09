//! `POST /_matrix/client/v3/account/deactivate`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>

use axum::extract::State;
use ruma::api::client::account::{ThirdPartyIdRemovalStatus, deactivate::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, Deactivate, DeactivateError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    erase: Option<bool>,
    auth: Option<Auth>,
}

#[instrument(name = "client_api.account.deactivate", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = Deactivate {
        erase: body.erase.unwrap_or_default(),
        attempt: uiaa::attempt(body.auth)?,
        peer,
    };
    accounts.deactivate(&actor, command).await.map_err(answer)?;
    // Nothing is ever bound through this server, so there was nothing to unbind.
    Ok(Outgoing(Response::new(ThirdPartyIdRemovalStatus::Success)))
}

fn answer(error: DeactivateError) -> MatrixError {
    let message = error.to_string();
    match error {
        DeactivateError::UnknownUser => MatrixError::forbidden(message),
        DeactivateError::Uia(error) => uiaa::answer(error),
        DeactivateError::Storage(cause) => failure::storage(cause),
    }
}
