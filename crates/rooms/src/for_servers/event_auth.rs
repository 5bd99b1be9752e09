//! What authorizes an event.

use ruma::{EventId, RoomId, ServerName};

use super::{EventList, ServerReadError, access::event_of};
use crate::Rooms;

impl Rooms {
    /// The auth chain of an event of a room, outliers too, each after its own auth events. Nothing
    /// authorizes a rejected one.
    pub async fn auth_chain_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<EventList, ServerReadError> {
        let (rooms, event_id) = (self.clone(), event_id.to_owned());
        self.read_for_server(server, room_id, move |view, mut viewer| {
            let event = event_of(view, &mut viewer, &event_id)?;
            if event.pdu.rejected() {
                return Err(ServerReadError::NotFound);
            }
            let chain = view.auth_chain([event.no])?;
            Ok(EventList::new(&rooms, view.room, chain))
        })
        .await
    }
}
