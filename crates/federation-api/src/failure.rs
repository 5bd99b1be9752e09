//! Answers that many endpoints share.

use vestibule_accounts::StorageError;
use vestibule_http::{MatrixError, internal, unavailable};
use vestibule_rooms::ServerReadError;

/// Storage failed: 503 when trying again may help, else a blank 500.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn storage(cause: StorageError) -> MatrixError {
    if cause.may_pass() { unavailable(&cause) } else { internal(&cause) }
}

/// What another server is told when it may not read something of a room.
pub(crate) fn read(error: ServerReadError) -> MatrixError {
    match error {
        ServerReadError::NotInRoom | ServerReadError::Excluded => {
            MatrixError::forbidden(error.to_string())
        }
        ServerReadError::NotFound => MatrixError::not_found(error.to_string()),
        ServerReadError::Storage(cause) => storage(cause),
    }
}
