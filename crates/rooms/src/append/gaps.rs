//! Gaps: parents that are not here of events that are (`GAP_BY_PREV`).
//!
//! A gap is open from when an event is judged without one of its parents until that parent is judged,
//! whatever the judgement: a row that outlives its gap would stop everybody who reads that far back.

use ruma::OwnedEventId;
use vestibule_events::Pdu;
use vestibule_storage::{
    StorageError,
    tables::{room::StoredEventNo, staging::GAP_BY_PREV},
};
use vestibule_types::{EventNo, limits::HIDDEN_PARENTS_MAX};

use super::AppendError;
use crate::{LoggedEvent, RoomTx};

impl RoomTx<'_, '_> {
    /// Notes which parents of an event are missing. An event that is part of the room keeps a gap that
    /// one which is hidden or refused names too.
    pub(super) fn open_gaps(
        &mut self,
        missing: &[OwnedEventId],
        child: EventNo,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        for id in missing {
            let before = GAP_BY_PREV.get(&self.tx.fixed(), (room, id))?;
            let kept = match before {
                Some(StoredEventNo(no)) => self.is_shown(no)?,
                None => false,
            };
            if !kept {
                GAP_BY_PREV.put(self.tx, (room, id), &StoredEventNo(child))?;
            }
        }
        Ok(())
    }

    /// An event is judged: it is missing no more. Says whether an event that is part of the room names
    /// it as its parent; then it fills a gap and is no end.
    pub(super) fn close_gap(&mut self, pdu: &Pdu) -> Result<bool, AppendError> {
        let gap = (self.known()?.no, pdu.event_id());
        let Some(StoredEventNo(child)) = GAP_BY_PREV.get(&self.tx.fixed(), gap)? else {
            return Ok(false);
        };
        GAP_BY_PREV.delete(self.tx, gap)?;
        Ok(self.is_shown(child)?)
    }

    /// The events that one with these parents follows. What is hidden or was refused never is an end:
    /// whoever follows it follows what it follows.
    pub(super) fn followed(&self, parents: &[LoggedEvent]) -> Result<Vec<EventNo>, AppendError> {
        let mut followed: Vec<EventNo> = parents.iter().map(|event| event.no).collect();
        let mut hidden: Vec<LoggedEvent> = parents.to_vec();
        for _ in 0..HIDDEN_PARENTS_MAX {
            let Some(event) = hidden.pop() else { break };
            if self.is_shown(event.no)? {
                continue;
            }
            let view = self.view()?;
            for id in event.pdu.prev_events() {
                let Some(parent) = view.event_by_id(id)? else { continue };
                if !followed.contains(&parent.no) {
                    followed.push(parent.no);
                    hidden.push(parent);
                }
            }
        }
        Ok(followed)
    }

    /// Whether an event is part of the room, neither hidden nor refused.
    fn is_shown(&self, no: EventNo) -> Result<bool, StorageError> {
        let Ok(view) = self.view() else { return Ok(false) };
        Ok(view.around(no)?.is_some_and(|around| !around.value.soft_failed))
    }
}
