//! Doors an operator opens by vouching for what somebody else made.

pub(crate) mod adopt;
pub(crate) mod approve;

use vestibule_http::{MatrixError, internal};
use vestibule_rooms::{Administrator, AskError, DirectoryError};
use vestibule_types::{Actor, Credential};

use crate::AdminServices;

/// Who asks: the operator at the machine, or an account over HTTP.
pub(crate) fn administrator(services: &AdminServices, actor: Actor) -> Administrator {
    match actor.credential() {
        Credential::Operator => Administrator::Operator(services.accounts.system_user()),
        Credential::StoredSession | Credential::GuestToken => Administrator::Admin(actor),
    }
}

fn answer(error: DirectoryError) -> MatrixError {
    match error {
        DirectoryError::UnknownAlias | DirectoryError::Foreign => {
            MatrixError::not_found("no room has this alias")
        }
        DirectoryError::UnknownRoom(_) => {
            MatrixError::not_found("this server has no such space, or it has no such child")
        }
        DirectoryError::Ask(AskError::Denied(denial)) => MatrixError::from(denial),
        other => internal(&other),
    }
}
