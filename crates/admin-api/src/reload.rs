//! `POST /reload`

use axum::extract::State;
use http::StatusCode;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, MaintenanceError, ReloadAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<ReloadAnswer>, MatrixError> {
    let done = services.maintenance.reload().await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(ReloadAnswer { done }))
}

pub(crate) fn answer(error: &MaintenanceError) -> MatrixError {
    match error {
        MaintenanceError::Refused(reason) => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "ORG.VESTIBULE.REFUSED", reason)
        }
        MaintenanceError::Failed(_) => internal(error),
    }
}
