//! `PUT /rooms/{room}/block`: letting nobody of this server be in a room.

use axum::extract::State;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_rooms::{AskError, DirectoryError};

use crate::{AdminServices, BlockChange, Done, doors::administrator, policy::explain::room_of};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    PathArgs(room): PathArgs<String>,
    IncomingJson(wanted): IncomingJson<BlockChange>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let room_id = room_of(&services, &room).await?;
    let by = administrator(&services, actor);
    services.rooms.block_room(&by, &room_id, wanted.blocked).await.map_err(answer)?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: DirectoryError) -> MatrixError {
    match error {
        DirectoryError::Ask(AskError::Denied(denial)) => MatrixError::from(denial),
        other => internal(&other),
    }
}
