//! `POST /_matrix/client/v3/register`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>

use std::net::IpAddr;

use axum::extract::State;
use ruma::{OwnedDeviceId, api::client::account::register::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{
    Accounts, Register, RegisterError, RegisterGuest, RegisterGuestError, Registered,
};
use vestibule_http::{ClientAddress, IncomingJson, MatrixError, Outgoing};
use vestibule_types::Secret;

use super::validation;
use crate::{
    extract::QueryArgs,
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Auth>,
    username: Option<String>,
    password: Option<Secret>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    inhibit_login: bool,
    #[serde(default)]
    refresh_token: bool,
    guest_access_token: Option<Secret>,
    #[serde(rename = "type")]
    login_type: Option<String>,
}

#[instrument(name = "client_api.account.register", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    QueryArgs(query): QueryArgs<Query>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let registered = match query.kind.as_deref() {
        Some("guest") => {
            let initial_device_display_name = body.initial_device_display_name;
            let command = RegisterGuest { initial_device_display_name, peer };
            accounts.register_guest(command).await.map_err(guest_answer)?
        }
        None | Some("user") => accounts.register(command(body, peer)?).await.map_err(answer)?,
        Some(_) => return Err(MatrixError::invalid_param("`kind` is neither user nor guest")),
    };
    Ok(Outgoing(response(registered)))
}

fn command(body: Body, peer: IpAddr) -> Result<Register, MatrixError> {
    if body.login_type.as_deref() == Some("m.login.application_service") {
        // It takes the token of an application service, and this server knows none.
        return Err(MatrixError::unknown_token(false));
    }
    Ok(Register {
        username: body.username,
        password: body.password,
        device_id: body.device_id,
        initial_device_display_name: body.initial_device_display_name,
        inhibit_login: body.inhibit_login,
        refresh_token: body.refresh_token,
        guest_access_token: body.guest_access_token,
        attempt: uiaa::attempt(body.auth)?,
        peer,
    })
}

fn response(registered: Registered) -> Response {
    let mut response = Response::new(registered.user_id);
    if let Some(session) = registered.session {
        response.access_token = Some(session.access_token.expose().clone());
        response.device_id = Some(session.device_id);
        response.refresh_token = session.refresh_token.map(|token| token.expose().clone());
        response.expires_in = session.expires_in;
    }
    response
}

fn answer(error: RegisterError) -> MatrixError {
    let message = error.to_string();
    match error {
        RegisterError::Closed | RegisterError::GuestToken | RegisterError::TokenSpent => {
            MatrixError::forbidden(message)
        }
        RegisterError::Username(error) => failure::username(error),
        RegisterError::Taken => failure::taken(message),
        RegisterError::NotOwnName => {
            failure::username(vestibule_accounts::UsernameError::Invalid).with("error", message)
        }
        RegisterError::Uia(error) => uiaa::answer(error),
        RegisterError::EmailSpent => validation::not_proven(message),
        RegisterError::EmailInUse => validation::in_use(message),
        RegisterError::NoPassword => MatrixError::missing_param(message),
        RegisterError::Password(error) => failure::password(error),
        RegisterError::DeviceId => MatrixError::invalid_param(message),
        RegisterError::Limited(wait) => MatrixError::limit_exceeded(wait),
        RegisterError::Busy(busy) => failure::busy(busy),
        RegisterError::Storage(cause) => failure::storage(cause),
    }
}

fn guest_answer(error: RegisterGuestError) -> MatrixError {
    match error {
        RegisterGuestError::Denied(denial) => denial.into(),
        RegisterGuestError::Storage(cause) => failure::storage(cause),
    }
}
