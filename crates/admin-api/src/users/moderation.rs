//! `GET /moderation`: what was done to accounts, newest first.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};

use crate::{AdminServices, ModerationAnswer, ModerationsAnswer, newest::Newest};

/// Acts in one answer, unless fewer are asked for.
const ACTS: usize = 100;

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(newest): QueryArgs<Newest>,
) -> Result<OutgoingJson<ModerationsAnswer>, MatrixError> {
    let limit = newest.limit(ACTS);
    let found = services.accounts.moderation_acts(limit).await.map_err(|cause| internal(&cause))?;
    let acts = found.into_iter().map(|act| ModerationAnswer {
        at_ms: act.at,
        by: act.by.map(|by| by.to_string()),
        user_id: act.user_id.to_string(),
        act: act.act.to_owned(),
    });
    Ok(OutgoingJson(ModerationsAnswer { acts: acts.collect() }))
}
