//! Redactions that take effect, and those that do not, or not before what they redact is here, as where
//! history is fetched later.
//!
//! Clients are shown a redaction once it took effect (room versions, "Handling redactions"); until then it
//! is part of the room's graph as any other event is. Whether it takes effect is decided by the state before
//! it, so that all servers decide it alike, whenever they do.

use ruma::EventId;
use vestibule_events::Pdu;
use vestibule_storage::{
    Stamped,
    tables::{
        history::{REDACTION_WAITING, REDACTION_WITHHELD},
        room::{
            EVENT_STATE, REDACTION_BY_TARGET, ROOM_POSITION, STREAM, StoredEventNo, StoredNews,
            TIMELINE,
        },
    },
};
use vestibule_types::{EventNo, limits::LATE_REDACTIONS_MAX};

use super::{AppendError, record::LIVE};
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
        } else if self.may_redact((redaction, no), target)? {
            REDACTION_BY_TARGET.put(self.tx, (room, target), &StoredEventNo(no))?;
            return self.redaction_took_effect(target);
        }
        Ok(REDACTION_WITHHELD.put(self.tx, (room, no), &())?)
    }

    /// An event has its place in the timeline now: redactions that waited for it take effect, and come
    /// after it for those who follow the room.
    pub(super) fn redact_newcomer(&mut self, pdu: &Pdu) -> Result<(), AppendError> {
        for redaction in self.apply_late_redactions(pdu)? {
            self.move_to_the_end(redaction)?;
        }
        Ok(())
    }

    /// An event is here now: redactions that waited for it take effect. Returns those that did.
    pub(super) fn apply_late_redactions(&mut self, pdu: &Pdu) -> Result<Vec<EventNo>, AppendError> {
        let (room, target) = (self.known()?.no, pdu.event_id());
        let waiting =
            REDACTION_WAITING.scan(&self.tx.fixed(), (room, target), LATE_REDACTIONS_MAX)?;
        let mut applied = Vec::new();
        for ((_, _, no), ()) in waiting {
            REDACTION_WAITING.delete(self.tx, (room, target, no))?;
            let Some(redaction) = self.event(no)? else { continue };
            if self.may_redact((&redaction.pdu, no), target)? {
                REDACTION_BY_TARGET.put(self.tx, (room, target), &StoredEventNo(no))?;
                REDACTION_WITHHELD.delete(self.tx, (room, no))?;
                self.redaction_took_effect(target)?;
                applied.push(no);
            }
        }
        Ok(applied)
    }

    /// Whether any redaction waits for an event of the room.
    pub(super) fn redactions_wait(&self) -> Result<bool, AppendError> {
        let room = self.known()?.no;
        Ok(!REDACTION_WAITING.scan(&self.tx.fixed(), (room,), 1)?.is_empty())
    }

    /// Puts an event that clients were not shown so far at the end of the timeline, and wakes them. Where
    /// history is missing before it, it stays in its place, so that this does too.
    fn move_to_the_end(&mut self, no: EventNo) -> Result<(), AppendError> {
        let (room, view) = (self.known()?.no, self.view()?);
        let Some(around) = view.around(no)? else { return Ok(()) };
        let was = (room, LIVE, around.stamp);
        let own = TIMELINE.get(&self.tx.fixed(), was)?.is_some_and(|row| row.0 == no);
        if !own || view.gaps()?.before(no).is_some() {
            return Ok(());
        }
        TIMELINE.delete(self.tx, was)?;
        let stamp = self.next_stamp();
        EVENT_STATE.put(self.tx, (room, no), &Stamped { stamp, value: around.value })?;
        TIMELINE.put(self.tx, (room, LIVE, stamp), &StoredEventNo(no))?;
        ROOM_POSITION.put(self.tx, (room,), &Stamped { stamp, value: () })?;
        // It is no news to other servers.
        let line = (self.tx.slot().0, stamp);
        Ok(STREAM.put(self.tx, line, &StoredNews::State { room })?)
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
