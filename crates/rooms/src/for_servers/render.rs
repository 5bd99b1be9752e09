//! Events as other servers are sent them.

use std::{borrow::Cow, sync::Arc};

use ruma::OwnedEventId;
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::{Pdu, redact_json};
use vestibule_storage::{
    Read, StorageError,
    tables::room::{REDACTION_BY_TARGET, StoredEvent},
};
use vestibule_types::{
    EventNo,
    limits::{EVENTS_READ_AT_ONCE, PDUS_READ_AT_ONCE},
};

use super::ServerViewer;
use crate::{LoggedEvent, OpenRoom, RoomView, Rooms};

/// What is read of an event to see whether others are judged by it.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl<R: Read> RoomView<'_, R> {
    /// An event as a server in the room may have it: redacted if it was redacted, if its sender asked to be
    /// forgotten before the server came, and if history visibility hides it, so that the graph can still be
    /// followed. A server outside the room is not shown what it may not see, and nobody is shown what was
    /// rejected.
    pub(super) fn shown_to(
        &self,
        viewer: &mut ServerViewer,
        event: &LoggedEvent,
    ) -> Result<Option<Box<RawValue>>, StorageError> {
        let sees = viewer.may_see(self, event)?;
        let hidden = event.pdu.rejected() || self.around(event.no)?.is_none();
        if !sees && (hidden || !viewer.is_in_room()) {
            return Ok(None);
        }
        if sees {
            return self.sent_to(viewer, event).map(Some);
        }
        self.written(event.pdu.json(), false).map(Some)
    }

    /// An event that a server is told without having asked for it: redacted if it was redacted since, and
    /// if its sender asked to be forgotten before the server came.
    pub fn sent_to(
        &self,
        viewer: &mut ServerViewer,
        event: &LoggedEvent,
    ) -> Result<Box<RawValue>, StorageError> {
        let redacted = self.redaction_of(event.pdu.event_id())?.is_some();
        let whole = !redacted && !viewer.is_kept_from(self, event)?;
        self.written(event.pdu.json(), whole)
    }

    /// Stored events as servers in the room may have them: redacted if they were redacted.
    pub(crate) fn all_written(
        &self,
        rows: &[StoredEvent],
    ) -> Result<Vec<Box<RawValue>>, StorageError> {
        let targets = rows.iter().map(|row| (self.room.no, &row.event_id));
        let redactions = REDACTION_BY_TARGET.multi_get(&self.reader, targets)?;
        let both = rows.iter().zip(redactions);
        both.map(|(row, redaction)| self.written(&row.json, redaction.is_none())).collect()
    }

    /// The event that sets a key of the current state, as other servers are sent it.
    pub(crate) fn sent_state_event(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<Arc<Pdu>>, StorageError> {
        match self.state_event(event_type, state_key)? {
            Some(event) if self.is_judged_by(event.pdu.json()) => Ok(Some(event.pdu)),
            Some(event) => self.shown_event(&event).map(Some),
            None => Ok(None),
        }
    }

    fn written(&self, json: &[u8], whole: bool) -> Result<Box<RawValue>, StorageError> {
        let written = if whole || self.is_judged_by(json) {
            serde_json::from_slice(json)
        } else {
            let redacted = redact_json(json, self.room.version);
            let redacted = redacted
                .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
            serde_json::from_slice(&redacted)
        };
        written.map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))
    }

    /// Whether redaction would take from an event what the authorization rules ask it for: who may invite,
    /// of power levels before version 11, and nearly everything of the creation. It says nothing about
    /// anybody, and a server that gets it redacted judges other events differently from one that has it whole.
    fn is_judged_by(&self, json: &[u8]) -> bool {
        let rules = &self.room.version.rules().redaction;
        if rules.keep_room_power_levels_invite && rules.keep_room_create_content {
            return false;
        }
        let kind = serde_json::from_slice::<Kind<'_>>(json).map(|event| event.kind);
        kind.is_ok_and(|kind| matches!(&*kind, "m.room.power_levels" | "m.room.create"))
    }

    /// The ids of events by number, in the order of the numbers.
    pub(super) fn ids_of(&self, nos: &[EventNo]) -> Result<Vec<OwnedEventId>, StorageError> {
        let mut ids = Vec::with_capacity(nos.len());
        for some in nos.chunks(EVENTS_READ_AT_ONCE) {
            ids.extend(self.rows(some)?.into_iter().map(|row| row.event_id));
        }
        Ok(ids)
    }
}

/// Events that will be sent in this order. They are read a few at a time while they are sent: the
/// state of a large room is not held in memory. Events never change, so it does not matter when.
#[derive(Debug)]
pub struct EventList {
    rooms: Rooms,
    room: OpenRoom,
    left: std::vec::IntoIter<EventNo>,
}

impl EventList {
    pub(super) fn new(rooms: &Rooms, room: &OpenRoom, events: Vec<EventNo>) -> Self {
        Self { rooms: rooms.clone(), room: room.clone(), left: events.into_iter() }
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// The next few; none when all were read.
    pub async fn read_some(&mut self) -> Result<Vec<Box<RawValue>>, StorageError> {
        let some: Vec<EventNo> = self.left.by_ref().take(PDUS_READ_AT_ONCE).collect();
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let (rooms, room) = (self.rooms.clone(), self.room.clone());
        self.rooms
            .inner
            .store
            .read(move |snapshot| {
                let view = RoomView::new(&rooms, snapshot, &room);
                view.all_written(&view.rows(&some)?)
            })
            .await
    }
}
