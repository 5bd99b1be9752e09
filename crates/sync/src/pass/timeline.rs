//! A stretch of a room's timeline, as far as the user may see it.

use std::collections::{HashMap, HashSet};

use vestibule_rooms::{LoggedEvent, StateKey, TimelinePosition};
use vestibule_storage::{Stamp, StorageError, tables::room::StateAt};
use vestibule_types::{EventNo, limits::SYNC_SCAN_MAX};

use super::Sight;

/// The side of the timeline that grows.
pub(crate) const LIVE: u8 = 1;

/// Which part of a timeline is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// Nothing up to this commit.
    pub(crate) after: Option<u64>,
    /// Nothing after this place.
    pub(crate) until: Option<Stamp>,
    /// This event is shown whatever history visibility says: it is about the user.
    pub(crate) own: Option<EventNo>,
    /// The state a client is to end with that holds the timeline against what it has.
    pub(crate) end: Option<StateAt>,
    /// No more events than these.
    pub(crate) limit: usize,
}

impl Stretch {
    fn begin(&self) -> Option<TimelinePosition> {
        self.after.map(|commit| TimelinePosition { side: LIVE, stamp: Stamp::end_of(commit) })
    }
}

/// The events of a stretch that the user may see and wants to.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The events, oldest first, with their places.
    pub(crate) list: Vec<(TimelinePosition, LoggedEvent)>,
    /// Whether there are more in the stretch, before the first.
    pub(crate) limited: bool,
    /// Whether the client knows nothing of the room yet.
    pub(crate) fresh: bool,
    /// Everything before this place is not in `list`.
    pub(crate) begins: Option<TimelinePosition>,
}

impl Events {
    /// The numbers of the events.
    pub(crate) fn numbers(&self) -> HashSet<EventNo> {
        self.list.iter().map(|(_, event)| event.no).collect()
    }
}

impl Sight<'_> {
    /// The newest rows of a stretch, newest first, whether the user may see them or not.
    pub(super) fn rows_of(
        &self,
        stretch: Stretch,
        limit: usize,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, StorageError> {
        self.view.timeline_back(stretch.until.map(just_after), stretch.begin(), limit)
    }

    /// The newest events of a stretch, up to the number the client wants.
    pub(crate) fn events_of(&mut self, stretch: Stretch) -> Result<Events, StorageError> {
        let filter = &self.pass.query.filter.timeline;
        let limit = stretch.limit;
        let mut found = Events { fresh: stretch.after.is_none(), ..Events::default() };
        if !filter.admits_room(&self.view.room.room_id) {
            return Ok(found);
        }
        let after = stretch.begin();
        let gaps = self.view.gaps()?;
        let mut before = stretch.until.map(just_after);
        let mut scanned = 0;
        let mut untold = HashMap::new();
        'scan: loop {
            let chunk = (limit + 1).min(SYNC_SCAN_MAX);
            let rows = self.view.timeline_back(before, after, chunk)?;
            let last = rows.len() < chunk;
            for (place, no) in rows {
                scanned += 1;
                before = Some(place);
                let Some(event) = self.view.event(no)? else { continue };
                if !self.is_wanted(&event, stretch.own)? {
                    self.pass_over(&event, stretch.end, &mut untold);
                    continue;
                }
                if self.is_outdated(&event, stretch.end, &untold)? {
                    (found.limited, found.begins) = (true, Some(just_after(place.stamp)));
                    break 'scan;
                }
                if found.list.len() >= limit {
                    found.limited = true;
                    break 'scan;
                }
                found.begins = Some(place);
                found.list.push((place, event));
                // What is missing there is found by reading on from there.
                if gaps.before(no).is_some() {
                    found.limited = true;
                    break 'scan;
                }
            }
            if last {
                break;
            }
            if scanned >= SYNC_SCAN_MAX {
                (found.limited, found.begins) = (true, before);
                break;
            }
        }
        if found.begins.is_none() {
            let end = match stretch.until {
                Some(until) => just_after(until),
                None => end_of(self.pass.now_of(self.view.room)),
            };
            found.begins = Some(before.map_or(end, |place| just_after(place.stamp)));
        }
        found.list.reverse();
        Ok(found)
    }

    /// Whether the user may see an event and wants to.
    fn is_wanted(
        &mut self,
        event: &LoggedEvent,
        own: Option<EventNo>,
    ) -> Result<bool, StorageError> {
        let pdu = &event.pdu;
        let ignored = !pdu.is_state() && self.pass.ignored().contains(pdu.sender());
        if ignored || !self.pass.query.filter.timeline.admits(pdu) {
            return Ok(false);
        }
        Ok(own == Some(event.no) || self.viewer.may_see(&self.view, event.no)?)
    }

    /// Remembers state that a timeline does not tell; the newest of each key comes first.
    fn pass_over(
        &self,
        event: &LoggedEvent,
        end: Option<StateAt>,
        untold: &mut HashMap<StateKey, EventNo>,
    ) {
        let filter = &self.pass.query.filter.state;
        let told_beside = end.is_some()
            && filter.admits_room(&self.view.room.room_id)
            && filter.admits(&event.pdu);
        if let Some(key) = state_key(event).filter(|_| told_beside) {
            untold.entry(key).or_insert(event.no);
        }
    }

    /// Whether a client would take state for the newest that was replaced by what the timeline does
    /// not tell. The timeline begins behind it, and the state beside it is the newer one.
    fn is_outdated(
        &self,
        event: &LoggedEvent,
        end: Option<StateAt>,
        untold: &HashMap<StateKey, EventNo>,
    ) -> Result<bool, StorageError> {
        let (Some(end), Some(key)) = (end, state_key(event)) else { return Ok(false) };
        let Some(newer) = untold.get(&key) else { return Ok(false) };
        let newest = self.view.state_event_at(end, &key.0, &key.1)?;
        Ok(newest.is_some_and(|newest| newest.no == *newer))
    }
}

fn state_key(event: &LoggedEvent) -> Option<StateKey> {
    let key = event.pdu.state_key()?;
    Some((event.pdu.kind().to_owned(), key.to_owned()))
}

/// Where a client that was shown nothing of a room reads on from, which has come to the end of this commit.
pub(crate) fn end_of(commit: u64) -> TimelinePosition {
    just_after(Stamp::end_of(commit))
}

/// The first place behind another.
fn just_after(stamp: Stamp) -> TimelinePosition {
    let next = match stamp.index.checked_add(1) {
        Some(index) => Stamp { index, ..stamp },
        None => Stamp { commit: stamp.commit.saturating_add(1), index: 0 },
    };
    TimelinePosition { side: LIVE, stamp: next }
}
