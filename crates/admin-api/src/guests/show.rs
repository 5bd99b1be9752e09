//! `GET /guests`: whether guests are let in, and how many there are.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, GuestsAnswer, GuestsOff};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<GuestsAnswer>, MatrixError> {
    Ok(OutgoingJson(answer(&services).await?))
}

pub(super) async fn answer(services: &AdminServices) -> Result<GuestsAnswer, MatrixError> {
    let policy = services.policy.current();
    let off = services.accounts.guests_off().await.map_err(|cause| internal(&cause))?;
    let live = services.accounts.live_guests().await.map_err(|cause| internal(&cause))?;
    Ok(GuestsAnswer {
        enabled: policy.guests_enabled(),
        configured: policy.guests_configured(),
        switched_off: off.map(|off| GuestsOff { at_ms: off.at, by: off.by, evict: off.evict }),
        live,
        epoch: policy.epoch(),
    })
}
