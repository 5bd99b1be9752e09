//! Where a name of this server leads, for another server.

use ruma::{OwnedRoomId, OwnedServerName, RoomAliasId};
use vestibule_storage::tables::directory::ALIAS_BY_NAME;
use vestibule_types::limits::ALIAS_SERVERS_MAX;

use super::ServerReadError;
use crate::{OpenRoom, RoomView, Rooms};

/// A room that a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Servers in it, ours first where it is one of them.
    pub servers: Vec<OwnedServerName>,
}

impl Rooms {
    /// The room an alias of this server leads to, with servers to join it through.
    pub async fn alias_for_server(
        &self,
        alias: &RoomAliasId,
    ) -> Result<NamedRoom, ServerReadError> {
        let (rooms, alias) = (self.clone(), alias.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let row = ALIAS_BY_NAME.get(snapshot, (&alias,))?;
                let room_id = row.ok_or(ServerReadError::NotFound)?.room_id;
                let Some(room) = OpenRoom::load(snapshot, &room_id)? else {
                    return Ok(NamedRoom { room_id, servers: Vec::new() });
                };
                let view = RoomView::new(&rooms, snapshot, &room);
                let ours = &rooms.inner.server_name;
                let mut servers = view.servers(ALIAS_SERVERS_MAX)?;
                if view.is_resident()? {
                    servers.retain(|server| server != ours);
                    servers.insert(0, ours.clone());
                    servers.truncate(ALIAS_SERVERS_MAX);
                }
                Ok(NamedRoom { room_id, servers })
            })
            .await
    }
}
