//! Redactions that come before what they redact, as they do where history is fetched later.

use ruma::EventId;
use vestibule_events::Pdu;
use vestibule_storage::tables::{
    history::REDACTION_WAITING,
    room::{REDACTION_BY_TARGET, StoredEventNo},
};
use vestibule_types::{EventNo, limits::LATE_REDACTIONS_MAX};

use super::AppendError;
use crate::{RoomTx, StateChange};

impl RoomTx<'_, '_> {
    /// Lets a redaction take effect, or wait for its target where that is not here.
    pub(super) fn redact_or_wait(
        &mut self,
        redaction: &Pdu,
        no: EventNo,
        target: &EventId,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if self.view()?.event_no(target)?.is_none() {
            REDACTION_WAITING.put(self.tx, (room, target, no), &())?;
        } else if self.may_redact(redaction, target)? {
            REDACTION_BY_TARGET.put(self.tx, (room, target), &StoredEventNo(no))?;
            self.redaction_took_effect(target)?;
        }
        Ok(())
    }

    /// An event is here now: redactions that waited for it take effect.
    pub(super) fn apply_late_redactions(&mut self, pdu: &Pdu) -> Result<(), AppendError> {
        let (room, target) = (self.known()?.no, pdu.event_id());
        let waiting =
            REDACTION_WAITING.scan(&self.tx.fixed(), (room, target), LATE_REDACTIONS_MAX)?;
        for ((_, _, no), ()) in waiting {
            REDACTION_WAITING.delete(self.tx, (room, target, no))?;
            let Some(redaction) = self.event(no)? else { continue };
            if self.may_redact(&redaction.pdu, target)? {
                REDACTION_BY_TARGET.put(self.tx, (room, target), &StoredEventNo(no))?;
                self.redaction_took_effect(target)?;
            }
        }
        Ok(())
    }

    /// What the room's current state said was taken back: what was decided by it is looked at again.
    fn redaction_took_effect(&mut self, target: &EventId) -> Result<(), AppendError> {
        let Some(event) = self.view()?.event_by_id(target)? else { return Ok(()) };
        let Some(key) = event.pdu.state_place() else { return Ok(()) };
        let current = self.state_event(&key.0, &key.1)?;
        if current.is_none_or(|current| current.no != event.no) {
            return Ok(());
        }
        let change = StateChange { key, old: Some(event.no), new: Some(event.no) };
        match event.pdu.kind() {
            "m.room.guest_access" => self.guest_access_changed(&change),
            "m.space.child" => {
                self.index_space_edge(&change)?;
                self.space_edges_changed()
            }
            _ => Ok(()),
        }
    }
}
