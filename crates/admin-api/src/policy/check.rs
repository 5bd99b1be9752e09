//! `GET /policy/check`: doubts that only the database can tell of.

use axum::extract::State;
use vestibule_accounts::RegistrationMode;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, PolicyAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<PolicyAnswer>, MatrixError> {
    let open = services.accounts.config().registration.mode == RegistrationMode::Open;
    let doubts = services.rooms.doubts(open).await;
    let doubts = doubts.map_err(|cause| internal(&cause))?;
    let warnings = doubts.iter().map(|it| format!("{}: {}", it.key, it.message)).collect();
    Ok(OutgoingJson(PolicyAnswer { epoch: services.policy.current().epoch(), warnings }))
}
