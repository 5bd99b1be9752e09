//! Letting in a membership event that another server signed after our template.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName};
use vestibule_events::{Pdu, RoomVersion, cosign};
use vestibule_storage::tables::room::EVENT_STATE;

use super::{HandshakeError, Wanted, check_shape};
use crate::{AppendError, Incoming, Received, RoomTx, Rooms, append::Case};

/// A membership event that a server hands in.
#[derive(Clone, Debug)]
pub struct HandedIn {
    /// Whose request it is.
    pub origin: OwnedServerName,
    /// What the sender wants to become.
    pub wanted: Wanted,
    /// The room of the request.
    pub room_id: OwnedRoomId,
    /// The event identifier of the request.
    pub event_id: OwnedEventId,
}

impl Rooms {
    /// The version of a room this server may answer for: how what is handed in has to be read.
    pub async fn version_for(&self, handed_in: &HandedIn) -> Result<RoomVersion, HandshakeError> {
        let origin = handed_in.origin.clone();
        let asked = self.in_room(&handed_in.room_id, move |room| {
            room.answers_to(&origin)?;
            Ok::<_, HandshakeError>(room.known()?.version)
        });
        Ok(asked.await?.0)
    }

    /// Checks an event before its signatures are, and adds ours when the event says that one of our
    /// users vouches for it. What is returned goes nowhere unless its signatures hold.
    pub async fn countersign(&self, handed_in: &HandedIn, pdu: Pdu) -> Result<Pdu, HandshakeError> {
        if *pdu.event_id() != handed_in.event_id {
            return Err(HandshakeError::Invalid("the event has another identifier"));
        }
        let request = (&*handed_in.origin, handed_in.wanted, &*handed_in.room_id);
        let content = check_shape(request, &pdu)?;
        let inner = &self.inner;
        let voucher = content.join_authorised_via_users_server;
        if voucher.is_none_or(|user| user.server_name() != inner.server_name) {
            return Ok(pdu);
        }
        let sender = pdu.sender().to_owned();
        self.in_room(&handed_in.room_id, move |room| room.vouched(&sender)).await?;
        cosign(&pdu, &inner.signing_key, &inner.server_name)
            .map_err(|_| HandshakeError::Invalid("the event cannot be signed"))
    }

    /// Lets a verified membership event into the room. Handing it in again changes nothing. One that
    /// the room's policy server does not recommend is refused.
    pub async fn accept_membership(
        &self,
        handed_in: &HandedIn,
        incoming: Incoming,
    ) -> Result<Arc<Pdu>, HandshakeError> {
        if !incoming.event.is_whole() {
            return Err(HandshakeError::Invalid("the content hash does not match"));
        }
        let (asked, case) = (handed_in.clone(), Case::from(incoming));
        let pdu = Arc::clone(&case.pdu);
        self.in_room(&handed_in.room_id, move |room| room.accept(&asked, &case)).await?;
        Ok(pdu)
    }
}

impl RoomTx<'_, '_> {
    fn accept(&mut self, asked: &HandedIn, case: &Case) -> Result<(), HandshakeError> {
        let pdu = &case.pdu;
        self.answers_to(&asked.origin)?;
        let content = check_shape((&asked.origin, asked.wanted, &asked.room_id), pdu)?;
        // Whether somebody vouches is asked of the very state the event is let into.
        let ours = |user: &ruma::OwnedUserId| user.server_name() == self.rooms.inner.server_name;
        let known = self.view()?.event_no(pdu.event_id())?;
        if known.is_none() && content.join_authorised_via_users_server.as_ref().is_some_and(ours) {
            self.vouched(pdu.sender())?;
        }
        match self.receive(case)? {
            Received::Accepted => Ok(self.relay(pdu)?),
            Received::Known => self.was_accepted(pdu),
            Received::Rejected(reason) => Err(HandshakeError::Forbidden(reason)),
            Received::SoftFailed => {
                Err(HandshakeError::Forbidden("the room does not allow it any more".to_owned()))
            }
        }
    }

    fn was_accepted(&self, pdu: &Pdu) -> Result<(), HandshakeError> {
        let view = self.view()?;
        let no = view.event_no(pdu.event_id())?;
        let known = no.map(|no| view.event(no)).transpose()?.flatten();
        let around = match no {
            Some(no) => EVENT_STATE.get(&view.reader, (view.room.no, no))?,
            None => None,
        };
        let accepted = known.is_some_and(|known| !known.pdu.rejected())
            && around.is_some_and(|around| !around.value.soft_failed);
        if accepted {
            return Ok(());
        }
        Err(AppendError::Forbidden("the room refused this event before".to_owned()).into())
    }
}
