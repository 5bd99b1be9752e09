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

use super::{AppendError, receive::Parents};
use crate::{LoggedEvent, RoomTx};

/// What an event follows.
pub(super) struct Followed {
    /// Events that are here.
    pub(super) here: Vec<EventNo>,
    /// Parents of hidden events among those, which are not.
    pub(super) missing: Vec<OwnedEventId>,
}

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

    /// An event is judged: it is missing no more. Returns the event of the room that names it as its
    /// parent, if one does; then it fills a gap and is no end.
    pub(super) fn close_gap(&mut self, pdu: &Pdu) -> Result<Option<EventNo>, AppendError> {
        let gap = (self.known()?.no, pdu.event_id());
        let Some(StoredEventNo(child)) = GAP_BY_PREV.get(&self.tx.fixed(), gap)? else {
            return Ok(None);
        };
        GAP_BY_PREV.delete(self.tx, gap)?;
        Ok(self.is_shown(child)?.then_some(child))
    }

    /// The events that one with these parents follows. What is hidden or was refused never is an end:
    /// whoever follows it follows what it follows.
    pub(super) fn followed(&self, parents: &[LoggedEvent]) -> Result<Followed, AppendError> {
        let mut found =
            Followed { here: parents.iter().map(|event| event.no).collect(), missing: Vec::new() };
        let mut hidden: Vec<LoggedEvent> = parents.to_vec();
        for _ in 0..HIDDEN_PARENTS_MAX {
            let Some(event) = hidden.pop() else { break };
            if self.is_shown(event.no)? {
                continue;
            }
            let Parents { here, missing } = self.parents(&event.pdu)?;
            found.missing.extend(missing);
            for parent in here {
                if !found.here.contains(&parent.no) {
                    found.here.push(parent.no);
                    hidden.push(parent);
                }
            }
        }
        Ok(found)
    }

    /// An event that an event of the room follows came after it: what it follows in turn is no end of
    /// the room, and what is missing before it is a gap before that event of the room.
    pub(super) fn cover(&mut self, parents: &Parents, child: EventNo) -> Result<(), AppendError> {
        let Followed { here, missing } = self.followed(&parents.here)?;
        self.open_gaps(&parents.missing, child)?;
        self.open_gaps(&missing, child)?;
        let ends = &self.known()?.head.extremities;
        let left = ends.iter().filter(|end| !here.contains(end)).copied().collect::<Vec<_>>();
        if left.is_empty() || left.len() == ends.len() {
            return Ok(());
        }
        self.known_mut()?.head.extremities.clone_from(&left);
        let now = self.resolve_ends(&left)?;
        let stamp = self.next_stamp();
        self.set_head_state(now, stamp)
    }

    /// Whether an event is part of the room, neither hidden nor refused.
    fn is_shown(&self, no: EventNo) -> Result<bool, StorageError> {
        let Ok(view) = self.view() else { return Ok(false) };
        Ok(view.around(no)?.is_some_and(|around| !around.value.soft_failed))
    }
}
