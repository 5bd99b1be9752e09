//! `POST /tokens`

use axum::extract::State;
use vestibule_accounts::{CreateTokenError, NewRegistrationToken};
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, internal};

use super::told;
use crate::{AdminServices, NewToken, TokenAnswer, class_of::class_of};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    IncomingJson(request): IncomingJson<NewToken>,
) -> Result<OutgoingJson<TokenAnswer>, MatrixError> {
    let policy = services.policy.current();
    let now = services.environment.now_ms();
    let command = NewRegistrationToken {
        token: request.token,
        uses_max: request.uses,
        expires_at: request.expires_in_ms.map(|millis| now.saturating_add(millis)),
        class: request.class.as_deref().map(|name| class_of(name, &policy)).transpose()?,
    };
    let made = services
        .accounts
        .create_registration_token(command)
        .await
        .map_err(|error| answer(&error))?;
    Ok(OutgoingJson(told(made)))
}

fn answer(error: &CreateTokenError) -> MatrixError {
    match error {
        CreateTokenError::Grammar | CreateTokenError::Taken | CreateTokenError::Class(_) => {
            MatrixError::invalid_param(error.to_string())
        }
        CreateTokenError::Storage(cause) => internal(cause),
    }
}
