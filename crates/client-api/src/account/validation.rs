//! What the requests to prove an address share.

use std::net::IpAddr;

use http::StatusCode;
use ruma::{OwnedClientSecret, OwnedSessionId, SessionId, UInt, api::error::ErrorKind};
use serde::Deserialize;
use vestibule_accounts::{Accounts, RequestValidation, RequestValidationError, ValidationPurpose};
use vestibule_http::{MatrixError, internal};

use crate::failure;

/// What a client sends to have an e-mail address proven, whatever for.
#[derive(Debug, Deserialize)]
pub(super) struct EmailBody {
    client_secret: OwnedClientSecret,
    email: String,
    send_attempt: UInt,
    next_link: Option<String>,
}

impl EmailBody {
    pub(super) fn command(
        self,
        purpose: ValidationPurpose,
        peer: IpAddr,
    ) -> Result<RequestValidation, MatrixError> {
        // The letters of all alphabets pass the parser.
        if !self.client_secret.as_str().is_ascii() {
            let message = "`client_secret` has characters beside 0-9, a-z, A-Z and .=_-";
            return Err(MatrixError::invalid_param(message));
        }
        Ok(RequestValidation {
            purpose,
            client_secret: self.client_secret.to_string(),
            email: self.email,
            send_attempt: self.send_attempt.into(),
            next_link: self.next_link,
            peer,
        })
    }
}

/// Begins to prove an address and returns the session. `unsupported` is the answer of a server that
/// sends no mail.
pub(super) async fn request(
    accounts: &Accounts,
    command: RequestValidation,
    unsupported: fn() -> MatrixError,
) -> Result<OwnedSessionId, MatrixError> {
    let sid = accounts.request_validation(command).await;
    let sid = sid.map_err(|error| answer(error, unsupported))?;
    SessionId::parse(sid).map_err(|cause| internal(&cause))
}

/// 403: no such identifier is an account's here.
pub(super) fn denied() -> MatrixError {
    let message = "third-party identifiers of this kind are not allowed here";
    MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, message)
}

/// 400: no such identifier can be added here.
pub(super) fn unsupported_medium() -> MatrixError {
    let message = "third-party identifiers of this kind are not supported here";
    MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::ThreepidMediumNotSupported, message)
}

/// 400: nothing was proven in the session.
pub(super) fn not_proven(message: String) -> MatrixError {
    MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::ThreepidAuthFailed, message)
}

/// 400: the identifier is another account's.
pub(super) fn in_use(message: String) -> MatrixError {
    MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::ThreepidInUse, message)
}

fn answer(error: RequestValidationError, unsupported: fn() -> MatrixError) -> MatrixError {
    let message = error.to_string();
    match error {
        RequestValidationError::NotSupported => unsupported(),
        RequestValidationError::Address | RequestValidationError::NextLink => {
            MatrixError::invalid_param(message)
        }
        RequestValidationError::Limited(wait) => MatrixError::limit_exceeded(wait),
        RequestValidationError::Busy => vestibule_http::unavailable(&error),
        RequestValidationError::Storage(cause) => failure::storage(cause),
    }
}
