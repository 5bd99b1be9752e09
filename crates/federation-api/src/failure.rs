//! Answers that many endpoints share.

use vestibule_accounts::StorageError;
use vestibule_http::{MatrixError, internal, unavailable};

/// Storage failed: 503 when trying again may help, else a blank 500.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn storage(cause: StorageError) -> MatrixError {
    match cause {
        StorageError::Unavailable { .. } | StorageError::Closed | StorageError::Contended => {
            unavailable(&cause)
        }
        StorageError::Corrupt { .. }
        | StorageError::Engine { .. }
        | StorageError::TooLarge { .. } => internal(&cause),
    }
}
