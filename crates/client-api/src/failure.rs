//! Answers that many endpoints share.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_accounts::{HasherBusy, PasswordError, StorageError, UsernameError};
use vestibule_http::{MatrixError, internal, unavailable};

/// Storage failed: 503 when trying again may help, else a blank 500.
pub(crate) fn storage(cause: StorageError) -> MatrixError {
    match cause {
        // Whoever is kept out is told so in place of this.
        StorageError::NotLetIn => MatrixError::guest_forbidden(cause.to_string()),
        cause if cause.may_pass() => unavailable(&cause),
        cause => internal(&cause),
    }
}

/// Too many passwords are being hashed.
pub(crate) fn busy(cause: HasherBusy) -> MatrixError {
    unavailable(&cause)
}

/// 400, with the code that says what is wrong with the name.
pub(crate) fn username(error: UsernameError) -> MatrixError {
    let kind = match error {
        UsernameError::Invalid | UsernameError::Underscore => ErrorKind::InvalidUsername,
        UsernameError::Reserved => ErrorKind::Exclusive,
    };
    MatrixError::new(StatusCode::BAD_REQUEST, kind, error.to_string())
}

/// 400 `M_USER_IN_USE`.
pub(crate) fn taken(message: String) -> MatrixError {
    MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::UserInUse, message)
}

/// 400, with the code that says what is wrong with the password.
pub(crate) fn password(error: PasswordError) -> MatrixError {
    let kind = match error {
        PasswordError::Weak => ErrorKind::WeakPassword,
        PasswordError::TooLong => ErrorKind::InvalidParam,
    };
    MatrixError::new(StatusCode::BAD_REQUEST, kind, error.to_string())
}
