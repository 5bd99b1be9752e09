//! Which servers to ask about a room this server is not in. They carry a handshake; nothing they are
//! named by proves anything about the room.

use ruma::{OwnedServerName, RoomId, UserId};
use vestibule_storage::{StorageError, tables::handshake::OUTSIDE_BY_USER};
use vestibule_types::limits::HANDSHAKE_VIAS_MAX;

use crate::{OpenRoom, RoomView, Rooms};

impl Rooms {
    /// Servers that may be in a room, in the order to be asked: those the user names, those of an
    /// invitation, those that were in the room when we were, and the one in the room's identifier.
    pub(super) async fn vias(
        &self,
        room_id: &RoomId,
        user: &UserId,
        named: Vec<OwnedServerName>,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let (rooms, room_id, user) = (self.clone(), room_id.to_owned(), user.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let mut vias = named;
                vias.truncate(HANDSHAKE_VIAS_MAX);
                let outside = OUTSIDE_BY_USER.get(snapshot, (&user, &room_id))?;
                vias.extend(outside.into_iter().flat_map(|row| row.value.via));
                vias.extend(room_id.server_name().map(ToOwned::to_owned));
                if let Some(room) = OpenRoom::load(snapshot, &room_id)? {
                    let view = RoomView::new(&rooms, snapshot, &room);
                    vias.extend(view.servers(HANDSHAKE_VIAS_MAX)?);
                }
                Ok(distinct(vias, &rooms.inner.server_name))
            })
            .await
    }
}

fn distinct(vias: Vec<OwnedServerName>, own: &OwnedServerName) -> Vec<OwnedServerName> {
    let mut kept = Vec::new();
    for via in vias {
        if via != *own && !kept.contains(&via) && kept.len() < HANDSHAKE_VIAS_MAX {
            kept.push(via);
        }
    }
    kept
}
