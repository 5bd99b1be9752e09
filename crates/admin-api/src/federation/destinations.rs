//! `GET /federation/destinations`: the servers that do not answer.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs};

use crate::{AdminServices, DestinationAnswer, DestinationsAnswer, newest::Newest};

/// Servers in one answer, unless fewer are asked for.
const DESTINATIONS: usize = 1_000;

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(newest): QueryArgs<Newest>,
) -> Result<OutgoingJson<DestinationsAnswer>, MatrixError> {
    let limit = newest.limit(DESTINATIONS).min(DESTINATIONS);
    let now = services.environment.now_ms();
    let found = services.federation.remote().failing_servers(limit).into_iter();
    let destinations = found.map(|failing| DestinationAnswer {
        server: failing.server.to_string(),
        failures: failing.failures,
        failing_since_ms: failing.failing_since,
        failed_at_ms: failing.failed_at,
        retry_in_ms: failing.retry_at.saturating_sub(now),
        reason: failing.reason,
    });
    Ok(OutgoingJson(DestinationsAnswer { destinations: destinations.collect() }))
}
