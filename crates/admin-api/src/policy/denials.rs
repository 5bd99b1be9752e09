//! `GET /policy/denials`: the newest refusals.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};

use crate::{AdminServices, DenialAnswer, DenialsAnswer, newest::Newest};

/// Refusals in one answer, unless fewer are asked for.
const DENIALS: usize = 100;

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(newest): QueryArgs<Newest>,
) -> Result<OutgoingJson<DenialsAnswer>, MatrixError> {
    let limit = newest.limit(DENIALS);
    let found = services.rooms.ledger().denials(limit).await.map_err(|cause| internal(&cause))?;
    let denials = found.into_iter().map(|denial| DenialAnswer {
        at_ms: denial.at,
        user_id: denial.user_id,
        class: denial.class,
        action: denial.action,
        object: denial.object,
        reason: denial.reason,
        observed: denial.observed,
        address: denial.address,
    });
    Ok(OutgoingJson(DenialsAnswer { denials: denials.collect() }))
}
