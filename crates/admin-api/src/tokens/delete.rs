//! `DELETE /tokens/{token}`

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, PathArgs, internal};

use crate::{AdminServices, Done};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(token): PathArgs<String>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let deleted = services.accounts.delete_registration_token(&token).await;
    if deleted.map_err(|cause| internal(&cause))? {
        Ok(OutgoingJson(Done {}))
    } else {
        Err(MatrixError::not_found("there is no such token"))
    }
}
