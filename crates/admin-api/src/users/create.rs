//! `POST /users`

use axum::extract::State;
use http::StatusCode;
use ruma::api::error::ErrorKind;
use vestibule_accounts::{CreateAccount, CreateAccountError};
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, internal, unavailable};
use vestibule_types::ClassName;

use crate::{AdminServices, NewUser, UserAnswer, class_of::class_of, user_name::local_user};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    IncomingJson(request): IncomingJson<NewUser>,
) -> Result<OutgoingJson<UserAnswer>, MatrixError> {
    let policy = services.policy.current();
    let class = match &request.class {
        Some(name) => class_of(name, &policy)?,
        None => ClassName::member(),
    };
    let user_id = local_user(&request.name.to_lowercase(), services.accounts.server_name())?;
    let command = CreateAccount {
        username: user_id.localpart().to_owned(),
        password: request.password,
        class: class.clone(),
        displayname: None,
    };
    let created_at_ms = services.environment.now_ms();
    let user_id =
        services.accounts.create_account(command).await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(UserAnswer {
        user_id: user_id.to_string(),
        class: class.to_string(),
        state: "active".to_owned(),
        created_at_ms,
    }))
}

fn answer(error: &CreateAccountError) -> MatrixError {
    let bad = |kind| MatrixError::new(StatusCode::BAD_REQUEST, kind, error.to_string());
    match error {
        CreateAccountError::Username(_) => bad(ErrorKind::InvalidUsername),
        CreateAccountError::Taken => bad(ErrorKind::UserInUse),
        CreateAccountError::Password(_) => bad(ErrorKind::WeakPassword),
        CreateAccountError::Class(_) => bad(ErrorKind::InvalidParam),
        CreateAccountError::Busy(cause) => unavailable(cause),
        CreateAccountError::Storage(cause) => internal(cause),
    }
}
