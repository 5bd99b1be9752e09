//! How users of ours left a room that nobody of ours is in any more.

use ruma::{RoomId, ServerName};
use serde_json::value::RawValue;
use vestibule_storage::{
    StorageError,
    tables::room::{LOCAL_MEMBER_BY_ROOM, StoredMembership},
};
use vestibule_types::limits::{LEAVES_REMINDED_MAX, LEAVES_SCAN_MAX};

use super::ServerViewer;
use crate::Rooms;

impl Rooms {
    /// The events by which users of ours left a room, the newest first, as other servers are told them;
    /// none while anybody of ours is in it. For a server in the room: it seems not to know them.
    pub async fn own_leaves(
        &self,
        room_id: &RoomId,
        server: &ServerName,
    ) -> Result<Vec<Box<RawValue>>, StorageError> {
        let server = server.to_owned();
        let leaves = self.with_view(room_id, move |view| {
            let told = view.has_server(&server)? && view.acl_allows(&server)?;
            if view.is_resident()? || !told {
                return Ok(Vec::new());
            }
            let left = (view.room.no, StoredMembership::Leave.key());
            let rows = LOCAL_MEMBER_BY_ROOM.scan(&view.reader, left, LEAVES_SCAN_MAX)?;
            let mut events = Vec::with_capacity(rows.len());
            for ((_, _, user), ()) in rows {
                let event = view.state_event("m.room.member", user.as_str())?;
                events.extend(event.filter(|event| *event.pdu.sender() == user));
            }
            events.sort_by_key(|event| std::cmp::Reverse(event.no));
            let mut viewer = ServerViewer::new(&view, &server)?;
            let newest = events.iter().take(LEAVES_REMINDED_MAX);
            newest.map(|event| view.sent_to(&mut viewer, event)).collect()
        });
        Ok(leaves.await?.unwrap_or_default())
    }
}
