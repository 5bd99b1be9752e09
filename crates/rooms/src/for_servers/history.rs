//! Stretches of a room's graph: what came before some events.

use std::collections::{BTreeSet, BinaryHeap};

use ruma::{OwnedEventId, RoomId, ServerName};
use serde_json::value::RawValue;
use vestibule_storage::{Read, StorageError, tables::room::EVENT_BY_ID};
use vestibule_types::{
    EventNo,
    limits::{
        BACKFILL_EVENTS_MAX, BACKFILL_STARTS_MAX, HISTORY_WALK_MAX, MISSING_EVENTS_MAX,
        MISSING_EVENTS_NAMED_MAX,
    },
};

use super::{ServerReadError, ServerViewer, auth_chain::Numbers};
use crate::{LoggedEvent, RoomView, Rooms};

/// Which events another server misses.
#[derive(Clone, Debug)]
pub struct MissingEvents {
    /// The events it has that name what it misses.
    pub latest: Vec<OwnedEventId>,
    /// The newest events it has; what lies behind them it has too.
    pub earliest: Vec<OwnedEventId>,
    /// At most so many.
    pub limit: usize,
    /// None that lie less deep.
    pub min_depth: u64,
}

impl Rooms {
    /// These events of a room and what came before them, the deepest first. Outliers have no place in
    /// the graph and are left out, as rejected events are.
    pub async fn backfill_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        from: Vec<OwnedEventId>,
        limit: usize,
    ) -> Result<Vec<Box<RawValue>>, ServerReadError> {
        self.read_for_server(server, room_id, move |view, viewer| {
            let starts = view.numbers_of(from.iter().take(BACKFILL_STARTS_MAX))?;
            let mut walk = Walk::new(view, viewer, 0);
            walk.wait_for(&starts)?;
            let mut shown = Vec::new();
            while let Some((_, _, pdu)) = walk.next(limit.min(BACKFILL_EVENTS_MAX) - shown.len())? {
                shown.push(pdu);
            }
            something(shown, &walk.viewer)
        })
        .await
    }

    /// What lies between the newest events a server has and some later ones, the least deep first.
    pub async fn missing_events_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        query: MissingEvents,
    ) -> Result<Vec<Box<RawValue>>, ServerReadError> {
        self.read_for_server(server, room_id, move |view, viewer| {
            let limit = query.limit.min(MISSING_EVENTS_MAX);
            let named =
                |ids: &[OwnedEventId]| view.numbers_of(ids.iter().take(MISSING_EVENTS_NAMED_MAX));
            let mut walk = Walk::new(view, viewer, query.min_depth);
            for no in named(&query.earliest)? {
                walk.seen.insert(no);
            }
            for no in named(&query.latest)? {
                walk.seen.insert(no);
                if let Some(event) = view.event(no)? {
                    walk.wait_for_parents(&event)?;
                }
            }
            let mut shown = Vec::new();
            while let Some(next) = walk.next(limit - shown.len())? {
                shown.push(next);
            }
            shown.sort_by_key(|(depth, no, _)| (*depth, *no));
            let pdus = shown.into_iter().map(|(_, _, pdu)| pdu).collect();
            something(pdus, &walk.viewer)
        })
        .await
    }
}

/// A server outside the room that may see none of it is told no more than that.
fn something(
    shown: Vec<Box<RawValue>>,
    viewer: &ServerViewer,
) -> Result<Vec<Box<RawValue>>, ServerReadError> {
    if shown.is_empty() && !viewer.is_in_room() {
        return Err(ServerReadError::NotInRoom);
    }
    Ok(shown)
}

/// A walk back through the graph, always to the deepest event that waits.
struct Walk<'w, 'a, R> {
    view: &'w RoomView<'a, R>,
    viewer: ServerViewer,
    waiting: BinaryHeap<(u64, EventNo)>,
    seen: Numbers,
    depth_min: u64,
    steps_left: usize,
}

impl<'w, 'a, R: Read> Walk<'w, 'a, R> {
    fn new(view: &'w RoomView<'a, R>, viewer: ServerViewer, depth_min: u64) -> Self {
        let (waiting, seen) = (BinaryHeap::new(), Numbers::default());
        Self { view, viewer, waiting, seen, depth_min, steps_left: HISTORY_WALK_MAX }
    }

    /// The next event that is shown, if there is one and it is `wanted`. Walks past those that are
    /// not shown.
    fn next(
        &mut self,
        wanted: usize,
    ) -> Result<Option<(u64, EventNo, Box<RawValue>)>, StorageError> {
        if wanted == 0 {
            return Ok(None);
        }
        while self.steps_left > 0
            && let Some((depth, no)) = self.waiting.pop()
        {
            self.steps_left -= 1;
            let Some(event) = self.view.event(no)? else { continue };
            if self.view.around(no)?.is_none() {
                continue;
            }
            self.wait_for_parents(&event)?;
            if let Some(pdu) = self.view.shown_to(&mut self.viewer, &event)? {
                return Ok(Some((depth, no, pdu)));
            }
        }
        Ok(None)
    }

    fn wait_for_parents(&mut self, event: &LoggedEvent) -> Result<(), StorageError> {
        let parents = self.view.numbers_of(event.pdu.prev_events())?;
        self.wait_for(&parents)
    }

    fn wait_for(&mut self, events: &BTreeSet<EventNo>) -> Result<(), StorageError> {
        for no in events {
            if !self.seen.insert(*no) {
                continue;
            }
            let Some(event) = self.view.event(*no)? else { continue };
            if event.pdu.depth() >= self.depth_min {
                self.waiting.push((event.pdu.depth(), *no));
            }
        }
        Ok(())
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The numbers of those of these events that are of this room.
    fn numbers_of<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i OwnedEventId>,
    ) -> Result<BTreeSet<EventNo>, StorageError> {
        let places = EVENT_BY_ID.multi_get(&self.reader, ids.into_iter().map(|id| (id,)))?;
        let here = places.into_iter().flatten().filter(|place| place.room == self.room.no);
        Ok(here.map(|place| place.event).collect())
    }
}
