//! `POST /_matrix/client/v3/account/password`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>

use axum::extract::State;
use ruma::api::client::account::change_password::v3::Response;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, ChangePassword, ChangePasswordError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};
use vestibule_types::Secret;

use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    new_password: Option<Secret>,
    #[serde(default = "yes")]
    logout_devices: bool,
    auth: Option<Auth>,
}

fn yes() -> bool {
    true
}

#[instrument(name = "client_api.account.change_password", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let missing = || MatrixError::missing_param("missing field `new_password`");
    let command = ChangePassword {
        new_password: body.new_password.ok_or_else(missing)?,
        logout_devices: body.logout_devices,
        attempt: uiaa::attempt(body.auth)?,
        peer,
    };
    accounts.change_password(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: ChangePasswordError) -> MatrixError {
    let message = error.to_string();
    match error {
        ChangePasswordError::Password(error) => failure::password(error),
        ChangePasswordError::NoPassword | ChangePasswordError::UnknownUser => {
            MatrixError::forbidden(message)
        }
        ChangePasswordError::Uia(error) => uiaa::answer(error),
        ChangePasswordError::Busy(busy) => failure::busy(busy),
        ChangePasswordError::Storage(cause) => failure::storage(cause),
    }
}
