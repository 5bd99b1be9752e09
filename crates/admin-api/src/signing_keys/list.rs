//! `GET /keys`

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, SigningKeyAnswer, SigningKeysAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<SigningKeysAnswer>, MatrixError> {
    let keys = services.federation.key_ring().own().await.map_err(|cause| internal(&cause))?;
    let answer = keys
        .into_iter()
        .map(|key| SigningKeyAnswer { key_id: key.key_id, expired_at: key.expired_at });
    Ok(OutgoingJson(SigningKeysAnswer { keys: answer.collect() }))
}
