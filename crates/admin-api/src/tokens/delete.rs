//! `DELETE /tokens/{token}`

use axum::extract::{Path, State};
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, Done};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Path(token): Path<String>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let deleted = services.accounts.delete_registration_token(&token).await;
    if deleted.map_err(|cause| internal(&cause))? {
        Ok(OutgoingJson(Done {}))
    } else {
        Err(MatrixError::not_found("there is no such token"))
    }
}
