//! Letting in an event of another server's user that came to this server alone, as the joins, leaves
//! and knocks of a handshake do. Whoever lets one in brings it to the other servers of the room.

use std::sync::Arc;

use vestibule_events::Verified;
use vestibule_storage::tables::sender::RELAY;

use super::{
    AppendError,
    receive::{ReceiveError, Received},
};
use crate::Rooms;

impl Rooms {
    /// Like [`Rooms::receive`], and marks the event as one that this server brings to the others
    /// in the room (server-server API, "Joining Rooms": the resident server sends it on). The mark is
    /// part of the batch that accepts the event.
    pub async fn receive_and_relay(&self, verified: Verified) -> Result<Received, ReceiveError> {
        let pdu = Arc::new(verified.into_pdu());
        if pdu.sender().server_name() == self.inner.server_name {
            return Err(ReceiveError::OurOwn);
        }
        let room_id = pdu.room_id().to_owned();
        let received = self.in_room(&room_id, move |room| {
            let received = room.receive(Arc::clone(&pdu))?;
            if received == Received::Accepted {
                room.relay(&pdu)?;
            }
            Ok::<_, ReceiveError>(received)
        });
        Ok(received.await?.0)
    }
}

impl crate::RoomTx<'_, '_> {
    /// Marks an event of this batch as one that this server brings to the others in the room.
    pub(crate) fn relay(&mut self, pdu: &vestibule_events::Pdu) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if let Some(no) = self.view()?.event_no(pdu.event_id())? {
            RELAY.put(self.tx, (room, no), &())?;
        }
        Ok(())
    }
}
