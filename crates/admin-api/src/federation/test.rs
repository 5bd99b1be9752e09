//! `POST /federation/destinations/{server}/test`: finds a server and asks it something.

use axum::extract::State;
use vestibule_federation::Outcome;
use vestibule_http::{MatrixError, OutgoingJson, PathArgs};

use super::server;
use crate::{AdminServices, FindingAnswer, FindingsAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
) -> Result<OutgoingJson<FindingsAnswer>, MatrixError> {
    let found = services.federation.remote().examine(&server(name)?).await;
    let reachable = found.iter().all(|finding| finding.outcome != Outcome::Failed);
    let findings = found.into_iter().map(|finding| FindingAnswer {
        step: finding.step.to_owned(),
        outcome: word(finding.outcome).to_owned(),
        text: finding.text,
    });
    Ok(OutgoingJson(FindingsAnswer { reachable, findings: findings.collect() }))
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fine => "fine",
        Outcome::Notable => "notable",
        Outcome::Failed => "failed",
    }
}
