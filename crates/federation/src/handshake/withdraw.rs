//! Events of rooms this server is not in: only those matter that end an invitation or a knock of a
//! user of ours.

use ruma::{OwnedEventId, RoomId, UserId};
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_storage::StorageError;
use vestibule_types::limits::TRANSACTION_PDUS_MAX;

use crate::{Federation, PduOutcome};

impl Federation {
    /// Looks for memberships of our users among events of a room nobody of ours is in.
    pub(crate) async fn take_withdrawals(
        &self,
        room_id: &RoomId,
        pdus: &[Box<RawValue>],
    ) -> Result<Vec<(OwnedEventId, PduOutcome)>, StorageError> {
        let rooms = &self.inner.parts.rooms;
        let Some(version) = rooms.version_from_outside(room_id).await? else {
            return Ok(Vec::new());
        };
        let parsed = pdus.iter().take(TRANSACTION_PDUS_MAX);
        let parsed = parsed.map(|json| Pdu::parse_untrusted(json.get().as_bytes(), version));
        let concerns = |pdu: &Pdu| pdu.room_id() == room_id && self.is_about_us(pdu);
        let about_us: Vec<Pdu> = parsed.flatten().filter(concerns).collect();
        let mut outcomes = Vec::new();
        for verified in self.key_ring().verify_events(about_us).await.into_iter().flatten() {
            let id = verified.pdu().event_id().clone();
            let ended = rooms.withdraw_invite(verified).await?;
            let outcome = if ended { PduOutcome::Accepted } else { PduOutcome::Ignored };
            outcomes.push((id, outcome));
        }
        Ok(outcomes)
    }

    fn is_about_us(&self, pdu: &Pdu) -> bool {
        let user = pdu.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        pdu.kind() == "m.room.member"
            && user.is_some_and(|user| user.server_name() == self.server_name())
    }
}
