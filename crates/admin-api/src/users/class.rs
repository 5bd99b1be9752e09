//! `PUT /users/{user}/class`

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_accounts::{Assigner, SetClass, SetClassError};
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_types::Credential;

use super::list::shown;
use crate::{AdminServices, ClassChange, UserAnswer, class_of::class_of, user_name::local_user};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(name): PathArgs<String>,
    IncomingJson(request): IncomingJson<ClassChange>,
) -> Result<OutgoingJson<UserAnswer>, MatrixError> {
    let class = class_of(&request.class, &services.policy.current())?;
    let user_id = local_user(&name, services.accounts.server_name())?;
    let by = match actor.credential() {
        Credential::Operator => Assigner::Operator,
        Credential::StoredSession | Credential::GuestToken => Assigner::Admin(actor),
    };
    // An operator at the machine can always make another admin; an admin over HTTP could lock
    // everybody out.
    let even_last_admin = matches!(by, Assigner::Operator);
    let command = SetClass { user_id: user_id.clone(), class, even_last_admin };
    services.accounts.set_class(&by, command).await.map_err(answer)?;
    let account = services.accounts.summary(&user_id).await.map_err(|cause| internal(&cause))?;
    let account = account.ok_or_else(|| answer(SetClassError::UnknownUser))?;
    Ok(OutgoingJson(shown(&account)))
}

fn answer(error: SetClassError) -> MatrixError {
    let bad = |kind| MatrixError::new(StatusCode::BAD_REQUEST, kind, error.to_string());
    match error {
        SetClassError::UnknownUser => MatrixError::not_found(error.to_string()),
        SetClassError::Class(_) => bad(ErrorKind::InvalidParam),
        SetClassError::Guest | SetClassError::LastAdmin => bad(ErrorKind::Unknown),
        SetClassError::Denied(denial) => MatrixError::from(denial),
        SetClassError::Storage(cause) => internal(&cause),
    }
}
