//! `GET /policy/unmanaged`: the rooms in which nobody is left who can change the power levels.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use crate::{AdminServices, UnmanagedRoom, UnmanagedRoomsAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<UnmanagedRoomsAnswer>, MatrixError> {
    let found = services.rooms.unmanaged_rooms().await.map_err(|cause| internal(&cause))?;
    let rooms = found.into_iter().map(|room| UnmanagedRoom {
        room_id: room.room_id.to_string(),
        aliases: room.aliases,
        joined: room.joined,
    });
    Ok(OutgoingJson(UnmanagedRoomsAnswer { rooms: rooms.collect() }))
}
