//! `GET` and `POST /_synapse/admin/v1/register`
//!
//! Not in the specification: how operators' tools make accounts with a secret from the
//! configuration.

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_accounts::{Accounts, CreateAccountError, RegisterShared, RegisterSharedError};
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson};
use vestibule_types::Secret;

use crate::failure;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    nonce: String,
    username: String,
    displayname: Option<String>,
    password: Secret,
    #[serde(default)]
    admin: bool,
    user_type: Option<String>,
    mac: String,
}

/// A nonce for one registration.
pub(crate) async fn nonce(
    State(accounts): State<Accounts>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let nonce = accounts.registration_nonce().ok_or_else(MatrixError::unrecognized)?;
    Ok(OutgoingJson(json!({ "nonce": nonce })))
}

/// The registration.
#[instrument(name = "client_api.account.register_shared_secret", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let command = RegisterShared {
        nonce: body.nonce,
        username: body.username,
        displayname: body.displayname,
        password: body.password,
        admin: body.admin,
        user_type: body.user_type,
        mac: body.mac,
    };
    let (user_id, session) = accounts.register_shared(command).await.map_err(answer)?;
    Ok(OutgoingJson(json!({
        "user_id": user_id,
        "home_server": user_id.server_name(),
        "access_token": session.access_token.expose(),
        "device_id": session.device_id,
    })))
}

fn answer(error: RegisterSharedError) -> MatrixError {
    let message = error.to_string();
    match error {
        RegisterSharedError::Off => MatrixError::unrecognized(),
        RegisterSharedError::Nonce => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        RegisterSharedError::Mac => MatrixError::forbidden(message),
        RegisterSharedError::Create(error) => create_answer(error),
        RegisterSharedError::Storage(cause) => failure::storage(cause),
    }
}

fn create_answer(error: CreateAccountError) -> MatrixError {
    let message = error.to_string();
    match error {
        CreateAccountError::Username(error) => failure::username(error),
        CreateAccountError::Taken => failure::taken(message),
        CreateAccountError::Password(error) => failure::password(error),
        CreateAccountError::Class(_) => MatrixError::invalid_param(message),
        CreateAccountError::Busy(busy) => failure::busy(busy),
        CreateAccountError::Storage(cause) => failure::storage(cause),
    }
}
