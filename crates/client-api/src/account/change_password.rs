//! `POST /_matrix/client/v3/account/password`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>

use axum::extract::State;
use ruma::api::client::account::change_password::v3::Response;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, ChangePassword, ChangePasswordError};
use vestibule_http::{ClientAddress, IncomingJson, MatrixError, MaybeCaller, Outgoing};
use vestibule_types::Secret;

use super::validation;
use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    new_password: Option<Secret>,
    logout_devices: Option<bool>,
    auth: Option<Auth>,
}

#[instrument(name = "client_api.account.change_password", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    MaybeCaller(actor): MaybeCaller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let missing = || MatrixError::missing_param("missing field `new_password`");
    let command = ChangePassword {
        new_password: body.new_password.ok_or_else(missing)?,
        logout_devices: body.logout_devices.unwrap_or(true),
        attempt: uiaa::attempt(body.auth)?,
        peer,
    };
    let changed = match actor {
        Some(actor) => accounts.change_password(&actor, command).await,
        None => accounts.reset_password(command).await,
    };
    changed.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: ChangePasswordError) -> MatrixError {
    let message = error.to_string();
    match error {
        ChangePasswordError::Password(error) => failure::password(error),
        ChangePasswordError::NoPassword | ChangePasswordError::UnknownUser => {
            MatrixError::forbidden(message)
        }
        ChangePasswordError::LoginNeeded => MatrixError::missing_token(),
        ChangePasswordError::EmailSpent => validation::not_proven(message),
        ChangePasswordError::Uia(error) => uiaa::answer(error),
        ChangePasswordError::Busy(busy) => failure::busy(busy),
        ChangePasswordError::Storage(cause) => failure::storage(cause),
    }
}
