//! `GET /policy/check`: doubts that only the database can tell of.

use axum::extract::State;
use vestibule_accounts::RegistrationMode;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, PolicyAnswer};

/// What the configuration cannot tell.
const SWITCHED_OFF: &str = "guests.enabled: guests are switched off, whatever is written here; \
                            `vestibule guests on` lifts that";

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<PolicyAnswer>, MatrixError> {
    let open = services.accounts.config().registration.mode == RegistrationMode::Open;
    let doubts = services.rooms.doubts(open).await;
    let doubts = doubts.map_err(|cause| internal(&cause))?;
    let mut warnings: Vec<String> =
        doubts.iter().map(|it| format!("{}: {}", it.key, it.message)).collect();
    let off = services.accounts.guests_off().await.map_err(|cause| internal(&cause))?;
    warnings.extend(off.map(|_| SWITCHED_OFF.to_owned()));
    Ok(OutgoingJson(PolicyAnswer { epoch: services.policy.current().epoch(), warnings }))
}
