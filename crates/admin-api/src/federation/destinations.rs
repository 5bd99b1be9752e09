//! `GET /federation/destinations`: the servers that do not answer.

use axum::extract::{Query, State};
use serde::Deserialize;
use vestibule_http::{MatrixError, OutgoingJson};

use crate::{AdminServices, DestinationAnswer, DestinationsAnswer};

/// Servers in one answer, unless fewer are asked for.
const DESTINATIONS: usize = 1_000;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    limit: Option<usize>,
}

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Query(question): Query<Question>,
) -> Result<OutgoingJson<DestinationsAnswer>, MatrixError> {
    let limit = question.limit.unwrap_or(DESTINATIONS).min(DESTINATIONS);
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
