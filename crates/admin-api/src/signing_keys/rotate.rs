//! `POST /keys/rotate`: the next start makes a new key.

use axum::extract::State;
use http::StatusCode;
use vestibule_federation::RotateKeyError;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, Done};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    services.federation.key_ring().rotate_at_next_start().await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: &RotateKeyError) -> MatrixError {
    match error {
        RotateKeyError::TooMany => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "ORG.VESTIBULE.REFUSED", error.to_string())
        }
        RotateKeyError::Storage(cause) => internal(cause),
    }
}
