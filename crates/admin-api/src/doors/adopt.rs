//! `POST /aliases/{alias}/adopt`

use axum::extract::State;
use ruma::OwnedRoomAliasId;
use vestibule_http::{Caller, MatrixError, OutgoingJson, PathArgs};

use super::answer;
use crate::{AdminServices, Done};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(alias): PathArgs<String>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let alias = OwnedRoomAliasId::try_from(alias)
        .map_err(|_| MatrixError::invalid_param("not a room alias"))?;
    let by = super::administrator(&services, actor);
    services.rooms.adopt_alias(&by, alias).await.map_err(answer)?;
    Ok(OutgoingJson(Done {}))
}
