//! Doors an operator opens by vouching for what somebody else made.

pub(crate) mod adopt;
pub(crate) mod approve;

use vestibule_http::{MatrixError, internal};
use vestibule_rooms::DirectoryError;

fn answer(error: DirectoryError) -> MatrixError {
    match error {
        DirectoryError::UnknownAlias | DirectoryError::Foreign => {
            MatrixError::not_found("no room has this alias")
        }
        DirectoryError::UnknownRoom(_) => {
            MatrixError::not_found("this server has no such space, or it has no such child")
        }
        other => internal(&other),
    }
}
