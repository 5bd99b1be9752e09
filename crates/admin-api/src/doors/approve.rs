//! `POST /spaces/{space}/children/{child}/approve`

use axum::extract::State;
use ruma::OwnedRoomId;
use vestibule_http::{Caller, MatrixError, OutgoingJson, PathArgs};

use super::answer;
use crate::{AdminServices, Done};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs((space, child)): PathArgs<(String, String)>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let room = |text: String| {
        OwnedRoomId::try_from(text).map_err(|_| MatrixError::invalid_param("not a room id"))
    };
    let (space, child) = (room(space)?, room(child)?);
    let by = super::administrator(&services, actor);
    services.rooms.approve_space_child(&by, space, child).await.map_err(answer)?;
    Ok(OutgoingJson(Done {}))
}
