//! `PUT /users/{user}/password`

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_accounts::ChangePasswordError;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, PathArgs, internal, unavailable};

use crate::{AdminServices, Done, PasswordChange, user_name::local_user};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
    IncomingJson(request): IncomingJson<PasswordChange>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let user_id = local_user(&name, services.accounts.server_name())?;
    let end_sessions = !request.keep_sessions;
    let changed = services.accounts.set_password(&user_id, request.password, end_sessions).await;
    changed.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: &ChangePasswordError) -> MatrixError {
    let bad = |kind| MatrixError::new(StatusCode::BAD_REQUEST, kind, error.to_string());
    match error {
        ChangePasswordError::Password(_) => bad(ErrorKind::WeakPassword),
        ChangePasswordError::NoPassword => bad(ErrorKind::Unknown),
        ChangePasswordError::UnknownUser => MatrixError::not_found(error.to_string()),
        ChangePasswordError::Busy(cause) => unavailable(cause),
        // An operator is asked for no proof.
        ChangePasswordError::Uia(cause) => internal(cause),
        ChangePasswordError::LoginNeeded | ChangePasswordError::EmailSpent => internal(error),
        ChangePasswordError::Storage(cause) => internal(cause),
    }
}
