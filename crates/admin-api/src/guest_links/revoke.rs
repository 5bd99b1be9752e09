//! `DELETE /guest_links/{id}`

use axum::extract::State;
use vestibule_http::{Caller, MatrixError, OutgoingJson, PathArgs};

use super::answer;
use crate::{AdminServices, Done, doors::administrator};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(id): PathArgs<String>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let by = administrator(&services, actor);
    services.rooms.revoke_guest_link(&by, &id).await.map_err(answer)?;
    Ok(OutgoingJson(Done {}))
}
