//! Letting in an event of another server's user that came to this server alone, as the joins, leaves
//! and knocks of a handshake do. Whoever lets one in brings it to the other servers of the room.

use vestibule_events::Verified;
use vestibule_storage::tables::sender::{RELAY, StoredRelay};
use vestibule_types::EventNo;

use super::{
    AppendError,
    receive::{Case, Incoming, ReceiveError, Received},
};
use crate::Rooms;

impl Rooms {
    /// Like [`Rooms::receive`], and marks the event as one that this server brings to the others
    /// in the room (server-server API, "Joining Rooms": the resident server sends it on). The mark is
    /// part of the batch that accepts the event.
    pub async fn receive_and_relay(&self, verified: Verified) -> Result<Received, ReceiveError> {
        let case = Case::from(Incoming::from(verified));
        let room_id = case.pdu.room_id().to_owned();
        let received = self.in_room(&room_id, move |room| {
            let received = room.receive(&case)?;
            if received == Received::Accepted {
                room.relay(&case.pdu)?;
            }
            Ok::<_, ReceiveError>(received)
        });
        Ok(received.await?.0)
    }
}

impl crate::RoomTx<'_, '_> {
    /// Marks an event of this batch as one that this server brings to the others in the room.
    pub(crate) fn relay(&mut self, pdu: &vestibule_events::Pdu) -> Result<(), AppendError> {
        match self.view()?.event_no(pdu.event_id())? {
            Some(no) => self.put_relay(no, true),
            None => Ok(()),
        }
    }

    /// Marks an event of ours in this batch as one that the server which let it in brings to the
    /// others.
    pub(super) fn withhold(&mut self, no: EventNo) -> Result<(), AppendError> {
        self.put_relay(no, false)
    }

    fn put_relay(&mut self, no: EventNo, ours: bool) -> Result<(), AppendError> {
        let room = self.known()?.no;
        RELAY.put(self.tx, (room, no), &StoredRelay { ours })?;
        Ok(())
    }
}
