//! Reading events by number and by id, parsed once.

use std::sync::Arc;

use moka::sync::Cache;
use vestibule_events::Pdu;
use vestibule_storage::{
    Read, StorageError,
    tables::room::{EVENT_BY_NO, StoredEvent, StoredMembership},
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{EVENT_CACHE_BYTES_MAX, REWRITTEN_EVENTS_MAX},
};

use crate::{
    OpenRoom,
    append::{is_member, membership_of},
};

/// A stored event, parsed.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its number in the room.
    pub no: EventNo,
    /// The event.
    pub pdu: Arc<Pdu>,
    /// The events that authorize it.
    pub auth: Arc<[EventNo]>,
}

impl LoggedEvent {
    /// The membership it sets, when it is a membership event.
    #[must_use]
    pub fn membership(&self) -> Option<StoredMembership> {
        is_member(&self.pdu).map(|_| membership_of(&self.pdu))
    }
}

/// Parsed events by room and number; only committed events come in here. Their rows do not change, but
/// for those of outliers that are judged later: these are kept out from then on.
#[derive(Clone, Debug)]
pub(crate) struct EventCache {
    events: Cache<(RoomNo, EventNo), LoggedEvent>,
    rewritten: Cache<(RoomNo, EventNo), ()>,
}

impl EventCache {
    pub(crate) fn new() -> Self {
        let weigh = |_: &(RoomNo, EventNo), event: &LoggedEvent| {
            u32::try_from(event.pdu.json().len().saturating_mul(2).saturating_add(512))
                .unwrap_or(u32::MAX)
        };
        Self {
            events: Cache::builder().weigher(weigh).max_capacity(EVENT_CACHE_BYTES_MAX).build(),
            rewritten: Cache::new(REWRITTEN_EVENTS_MAX),
        }
    }

    /// The row of an event is about to change: what is remembered of it goes, and it is not kept again.
    pub(crate) fn rewritten(&self, room: RoomNo, no: EventNo) {
        self.rewritten.insert((room, no), ());
        self.events.invalidate(&(room, no));
    }

    /// An event that was committed. Events numbered from `committed` on are read, but not kept.
    pub(crate) fn event(
        &self,
        reader: &impl Read,
        room: &OpenRoom,
        no: EventNo,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        if no.0 < room.committed
            && let Some(known) = self.events.get(&(room.no, no))
        {
            return Ok(Some(known));
        }
        match EVENT_BY_NO.get(reader, (room.no, no))? {
            Some(stored) => self.parse(room, no, stored).map(Some),
            None => Ok(None),
        }
    }

    /// Several committed events, in the order of their numbers asked for. What is not remembered is
    /// read at once.
    pub(crate) fn events(
        &self,
        reader: &impl Read,
        room: &OpenRoom,
        nos: &[EventNo],
    ) -> Result<Vec<Option<LoggedEvent>>, StorageError> {
        let known = |no: &EventNo| {
            if no.0 < room.committed { self.events.get(&(room.no, *no)) } else { None }
        };
        let mut events: Vec<Option<LoggedEvent>> = nos.iter().map(known).collect();
        let missing: Vec<(&EventNo, &mut Option<LoggedEvent>)> =
            nos.iter().zip(&mut events).filter(|(_, event)| event.is_none()).collect();
        let rows = EVENT_BY_NO.multi_get(reader, missing.iter().map(|(no, _)| (room.no, **no)))?;
        for ((no, event), row) in missing.into_iter().zip(rows) {
            if let Some(stored) = row {
                *event = Some(self.parse(room, *no, stored)?);
            }
        }
        Ok(events)
    }

    /// Remembers an event that was committed.
    pub(crate) fn keep(&self, room: RoomNo, event: LoggedEvent) {
        let key = (room, event.no);
        self.events.insert(key, event);
        // Looked at after the insertion: whoever rewrites the row first says so and then empties
        // the entry, so one of the two sees the other.
        if self.rewritten.contains_key(&key) {
            self.events.invalidate(&key);
        }
    }

    /// An event out of its row. It is remembered if it is committed.
    fn parse(
        &self,
        room: &OpenRoom,
        no: EventNo,
        stored: StoredEvent,
    ) -> Result<LoggedEvent, StorageError> {
        let pdu = Pdu::from_stored(stored.event_id, stored.json, room.version)
            .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
        let event = LoggedEvent {
            no,
            pdu: Arc::new(pdu.with_rejected(stored.rejected)),
            auth: stored.auth.into(),
        };
        if no.0 < room.committed {
            self.keep(room.no, event.clone());
        }
        Ok(event)
    }
}
