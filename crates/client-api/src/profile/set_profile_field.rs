//! `PUT /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname>

use axum::extract::State;
use http::StatusCode;
use ruma::{OwnedUserId, api::client::profile::set_profile_field::v3::Response};
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_accounts::{Accounts, SetProfileField, SetProfileFieldError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use crate::{extract::PathArgs, failure};

#[instrument(name = "client_api.profile.set_profile_field", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, field)): PathArgs<(OwnedUserId, String)>,
    IncomingJson(mut body): IncomingJson<Map<String, Value>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let missing = || MatrixError::missing_param("the body lacks the field of the path");
    let value = Some(body.remove(&field).ok_or_else(missing)?);
    let command = SetProfileField { user_id, field, value, peer: Some(peer) };
    accounts.set_profile_field(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

pub(super) fn answer(error: SetProfileFieldError) -> MatrixError {
    let message = error.to_string();
    match error {
        SetProfileFieldError::NotOwn => MatrixError::forbidden(message),
        SetProfileFieldError::Field | SetProfileFieldError::Value => {
            MatrixError::invalid_param(message)
        }
        SetProfileFieldError::KeyTooLong => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "M_KEY_TOO_LARGE", message)
        }
        SetProfileFieldError::TooLarge => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "M_PROFILE_TOO_LARGE", message)
        }
        SetProfileFieldError::Denied(denial) => denial.into(),
        SetProfileFieldError::Storage(cause) => failure::storage(cause),
    }
}
