//! What the server says to its users.

pub(crate) mod send;
pub(crate) mod unpin;

use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_http::{MatrixError, internal};
use vestibule_rooms::ServerNoticeError;

fn answer(error: &ServerNoticeError) -> MatrixError {
    let message = error.to_string();
    match error {
        ServerNoticeError::Empty => MatrixError::invalid_param(message),
        ServerNoticeError::TooLong => MatrixError::too_large(message),
        ServerNoticeError::UnknownUser => MatrixError::not_found(message),
        ServerNoticeError::Guest => MatrixError::forbidden(message),
        ServerNoticeError::Unwanted => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::InviteBlocked, message)
        }
        ServerNoticeError::Room(_)
        | ServerNoticeError::Membership(_)
        | ServerNoticeError::Tag(_)
        | ServerNoticeError::Send(_)
        | ServerNoticeError::Storage(_) => internal(error),
    }
}
