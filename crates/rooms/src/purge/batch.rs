//! One batch of a purge.

use std::{ops::Range, sync::Arc};

use vestibule_events::redact_json;
use vestibule_storage::{
    Stamped, StorageError,
    tables::{
        history::PURGED,
        room::{EVENT_BY_NO, STREAM, StoredEvent, StoredNews, TIMELINE},
    },
};
use vestibule_types::{EventNo, limits::PURGE_BATCH_EVENTS};

use super::line::{Purged, goes};
use crate::{LoggedEvent, RoomTx, append::LIVE};

impl RoomTx<'_, '_> {
    /// Purges the next events of a stretch. Returns where the next batch begins.
    pub(super) fn purge_batch(
        &mut self,
        before_ms: u64,
        stretch: Range<u64>,
    ) -> Result<u64, StorageError> {
        let Ok(room) = self.known() else { return Ok(stretch.end) };
        let room = room.no;
        let next = stretch.end.min(stretch.start.saturating_add(PURGE_BATCH_EVENTS));
        let nos: Vec<EventNo> = (stretch.start..next).map(EventNo).collect();
        let Ok(view) = self.view() else { return Ok(stretch.end) };
        let events: Vec<LoggedEvent> = view
            .events(&nos)?
            .into_iter()
            .flatten()
            .filter(|event| goes(&event.pdu, before_ms))
            .collect();
        let going: Vec<EventNo> = events.iter().map(|event| event.no).collect();
        if let Some(index) = self.rooms.event_index() {
            Arc::clone(index).forget(self.tx, room, &going)?;
        }
        for event in &events {
            self.purge_event(event)?;
        }
        // Whoever looks at the room sees the content go and the line pass in one moment.
        let purged = Purged::load(&self.tx.fixed(), room)?;
        let (stamp, value) = (self.next_stamp(), purged.reached(before_ms, next));
        PURGED.put(self.tx, (room,), &Stamped { stamp, value })?;
        if next == stretch.end {
            // Whoever remembers what was unread in the room counts again.
            let line = (self.tx.slot().0, self.next_stamp());
            STREAM.put(self.tx, line, &StoredNews::State { room })?;
        }
        Ok(next)
    }

    /// Takes the content of one event, its line of the timeline, and what leads to it.
    fn purge_event(&mut self, event: &LoggedEvent) -> Result<(), StorageError> {
        let Ok(room) = self.known() else { return Ok(()) };
        let (room, version) = (room.no, room.version);
        let around = self.view().map_or(Ok(None), |view| view.around(event.no))?;
        if let Some(around) = around {
            self.unindex_relations(&event.pdu, event.no, around.stamp)?;
            let line = (room, LIVE, around.stamp);
            let own = TIMELINE.get(&self.tx.fixed(), line)?.is_some_and(|row| row.0 == event.no);
            if own {
                TIMELINE.delete(self.tx, line)?;
            }
        }
        let Some(stored) = EVENT_BY_NO.get(&self.tx.fixed(), (room, event.no))? else {
            return Ok(());
        };
        let json = redact_json(&stored.json, version)
            .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
        self.rooms.inner.events.rewritten(room, event.no);
        EVENT_BY_NO.put(self.tx, (room, event.no), &StoredEvent { json, ..stored })
    }
}
