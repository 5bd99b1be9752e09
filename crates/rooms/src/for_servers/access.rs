//! The door for other servers: who may ask about a room at all.

use ruma::{EventId, RoomId, ServerName};
use vestibule_storage::{Read, Snapshot, StorageError};

use super::ServerViewer;
use crate::{LoggedEvent, OpenRoom, RoomView, Rooms};

/// Why another server is not told something.
#[derive(Debug, thiserror::Error)]
pub enum ServerReadError {
    /// The server is not in the room and may see nothing of what it asked for, or there is no such
    /// room: the same answer for both.
    #[error("your server is not in this room")]
    NotInRoom,
    /// The room's access control list keeps the server out.
    #[error("your server is banned from this room")]
    Excluded,
    /// There is no such event, or nothing is known of what was asked about it.
    #[error("not found")]
    NotFound,
    /// The database failed.
    #[error("could not read the room")]
    Storage(#[from] StorageError),
}

impl Rooms {
    /// Reads a room for another server. It is asked here whether there is such a room and whether
    /// its access control list lets the server take part; what it may see is for the viewer to say.
    pub(crate) async fn read_for_server<T, F>(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        look: F,
    ) -> Result<T, ServerReadError>
    where
        F: FnOnce(&RoomView<'_, &Snapshot<'_>>, ServerViewer) -> Result<T, ServerReadError>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let (rooms, room_id, server) = (self.clone(), room_id.to_owned(), server.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?;
                let room = room.ok_or(ServerReadError::NotInRoom)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                if !view.acl_allows(&server)? {
                    return Err(ServerReadError::Excluded);
                }
                let viewer = ServerViewer::new(&view, &server)?;
                look(&view, viewer)
            })
            .await
    }
}

/// An event around which a server may see the room's state and authorization: one of the room, that
/// lies in its graph. A server outside the room does not learn which events there are.
pub(super) fn event_of<R: Read>(
    view: &RoomView<'_, R>,
    viewer: &mut ServerViewer,
    event_id: &EventId,
) -> Result<LoggedEvent, ServerReadError> {
    let event = view.event_by_id(event_id)?.ok_or_else(|| absent(viewer))?;
    if viewer.may_see_state_at(view, event.no)? {
        return Ok(event);
    }
    Err(ServerReadError::NotInRoom)
}

/// Nothing was found. Only a server in the room is told so.
pub(super) fn absent(viewer: &ServerViewer) -> ServerReadError {
    if viewer.is_in_room() { ServerReadError::NotFound } else { ServerReadError::NotInRoom }
}
