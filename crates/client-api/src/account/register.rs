//! `POST /_matrix/client/v3/register`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>

use std::net::IpAddr;

use axum::extract::State;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_accounts::{
    Accounts, Register, RegisterError, RegisterGuest, RegisterGuestError, Registered,
};
use vestibule_http::{ClientAddress, IncomingJson, MatrixError, OutgoingJson};
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
    inhibit_login: Option<bool>,
    refresh_token: Option<bool>,
    guest_access_token: Option<Secret>,
    #[serde(rename = "type")]
    login_type: Option<String>,
}

/// The account. Who asked not to be logged in is told of no session, not of an empty one.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    user_id: OwnedUserId,
    /// Deprecated, and read by old clients.
    home_server: OwnedServerName,
    #[serde(flatten)]
    session: Option<Session>,
}

#[derive(Debug, Serialize)]
struct Session {
    access_token: String,
    device_id: OwnedDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

#[instrument(name = "client_api.account.register", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    QueryArgs(query): QueryArgs<Query>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Account>, MatrixError> {
    let registered = match query.kind.as_deref() {
        Some("guest") => {
            let initial_device_display_name = body.initial_device_display_name;
            let command = RegisterGuest { initial_device_display_name, peer };
            accounts.register_guest(command).await.map_err(guest_answer)?
        }
        None | Some("user") => accounts.register(command(body, peer)?).await.map_err(answer)?,
        Some(_) => return Err(MatrixError::invalid_param("`kind` is neither user nor guest")),
    };
    Ok(OutgoingJson(response(registered)))
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

fn response(Registered { user_id, session }: Registered) -> Account {
    let home_server = user_id.server_name().to_owned();
    let Some(session) = session else {
        return Account { user_id, home_server, session: None };
    };
    let expires_in_ms = session.expires_in.map(|time| u64::try_from(time.as_millis()));
    let session = Session {
        access_token: session.access_token.expose().clone(),
        device_id: session.device_id,
        refresh_token: session.refresh_token.map(|token| token.expose().clone()),
        expires_in_ms: expires_in_ms.and_then(Result::ok),
    };
    Account { user_id, home_server, session: Some(session) }
}

fn answer(error: RegisterError) -> MatrixError {
    let message = error.to_string();
    match error {
        RegisterError::Closed
        | RegisterError::GuestToken
        | RegisterError::OthersName
        | RegisterError::TokenSpent => MatrixError::forbidden(message),
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
