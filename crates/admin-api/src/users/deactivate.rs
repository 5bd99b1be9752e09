//! `POST /users/{user}/deactivate`

use axum::extract::State;
use vestibule_accounts::{Assigner, EndAccount, EndAccountError};
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_types::Credential;

use crate::{AdminServices, Deactivation, Done, user_name::local_user};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(name): PathArgs<String>,
    IncomingJson(request): IncomingJson<Deactivation>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let user_id = local_user(&name, services.accounts.server_name())?;
    let by = match actor.credential() {
        Credential::Operator => Assigner::Operator,
        Credential::StoredSession | Credential::GuestToken => Assigner::Admin(actor),
    };
    let command = EndAccount { user_id, erase: request.erase };
    services.accounts.end_account(&by, command).await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: &EndAccountError) -> MatrixError {
    let message = error.to_string();
    match error {
        EndAccountError::UnknownUser => MatrixError::not_found(message),
        EndAccountError::Oneself | EndAccountError::Admin => MatrixError::forbidden(message),
        EndAccountError::Storage(cause) => internal(cause),
    }
}
