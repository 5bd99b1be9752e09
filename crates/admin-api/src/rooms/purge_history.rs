//! `POST /rooms/{room}/purge_history`: taking the content from a room's old messages.

use axum::extract::State;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_rooms::PurgeHistoryError;

use crate::{AdminServices, Done, HistoryPurge, policy::explain::room_of};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(room): PathArgs<String>,
    IncomingJson(wanted): IncomingJson<HistoryPurge>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let room_id = room_of(&services, &room).await?;
    let before = services.environment.now_ms().saturating_sub(wanted.older_than_ms);
    let purged = services.rooms.purge_history(&room_id, before).await;
    purged.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn answer(error: &PurgeHistoryError) -> MatrixError {
    let message = error.to_string();
    match error {
        PurgeHistoryError::UnknownRoom => MatrixError::not_found(message),
        PurgeHistoryError::InTheFuture => MatrixError::invalid_param(message),
        PurgeHistoryError::Storage(cause) => internal(cause),
    }
}
