//! `PUT /users/{user}/lock` and `PUT /users/{user}/suspend`

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_accounts::{Assigner, Restrain, RestrainError, Restraint};
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_types::{Actor, Credential};

use crate::{AdminServices, Done, LockChange, SuspensionChange, user_name::local_user};

pub(crate) async fn lock(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(name): PathArgs<String>,
    IncomingJson(request): IncomingJson<LockChange>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    restrain(&services, actor, &name, (Restraint::Lock, request.locked)).await
}

pub(crate) async fn suspend(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(name): PathArgs<String>,
    IncomingJson(request): IncomingJson<SuspensionChange>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    restrain(&services, actor, &name, (Restraint::Suspension, request.suspended)).await
}

async fn restrain(
    services: &AdminServices,
    actor: Actor,
    name: &str,
    (restraint, on): (Restraint, bool),
) -> Result<OutgoingJson<Done>, MatrixError> {
    let user_id = local_user(name, services.accounts.server_name())?;
    let by = match actor.credential() {
        Credential::Operator => Assigner::Operator,
        Credential::StoredSession | Credential::GuestToken => Assigner::Admin(actor),
    };
    let command = Restrain { user_id, restraint, on };
    services.accounts.restrain(&by, command).await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: &RestrainError) -> MatrixError {
    let message = error.to_string();
    match error {
        RestrainError::Foreign => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, message)
        }
        RestrainError::UnknownUser => MatrixError::not_found(message),
        RestrainError::Oneself | RestrainError::Admin => MatrixError::forbidden(message),
        RestrainError::Storage(cause) => internal(cause),
    }
}
