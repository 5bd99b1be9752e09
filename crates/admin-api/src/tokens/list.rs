//! `GET /tokens`

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use super::told;
use crate::{AdminServices, TokensAnswer};

/// Tokens in one answer: a server has a handful.
const TOKENS_MAX: usize = 1_000;

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<TokensAnswer>, MatrixError> {
    let found = services.accounts.registration_tokens(TOKENS_MAX).await;
    let tokens = found.map_err(|cause| internal(&cause))?;
    Ok(OutgoingJson(TokensAnswer { tokens: tokens.into_iter().map(told).collect() }))
}
