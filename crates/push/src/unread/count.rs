//! Counting the unread events of one room.

use std::{collections::BTreeMap, sync::Arc};

use vestibule_rooms::{LoggedEvent, RoomView, TimelinePosition, Viewer};
use vestibule_storage::{Read, Stamp, StorageError, tables::room::StoredMembership};
use vestibule_types::limits::UNREAD_COUNTED_MAX;

use super::{Asked, Called, LIVE, Marks, Tally, marks::moved_since, thread::speaks, thread_of};
use crate::rules::{Occasion, Own, RoomFacts, Whose, display_name};

/// A place in the stream, and the event there.
type Placed = (Stamp, LoggedEvent);

/// Counts what is unread, beginning with what was counted before if that still holds.
pub(super) fn count<R: Read>(
    view: &RoomView<'_, R>,
    viewer: &mut Viewer,
    (asked, own): (Asked<'_>, &Own),
    known: Option<&Tally>,
) -> Result<Tally, StorageError> {
    let mut marks = Marks::new(asked.user);
    let held = match known {
        Some(known) => since_tally(view, asked, known)?,
        None => None,
    };
    let (tally, events) = if let Some(held) = held {
        held
    } else {
        let read = marks.up_to(view, "")?;
        let by_thread = BTreeMap::new();
        let (said, member) = (own.said, asked.member.stamp);
        let fresh = Tally { at: 0, said, member, called: None, by_thread };
        (fresh, newest(view, read)?)
    };
    let mut counting = Counting { view, viewer, asked, own, marks, tally, facts: None };
    for (place, event) in events {
        counting.add(place, &event)?;
    }
    Ok(Tally { at: asked.at, ..counting.tally })
}

/// What is new since a tally. `None` when all has to be counted again: the user has read on, something
/// that was counted may have been redacted or purged, or there is too much.
fn since_tally<R: Read>(
    view: &RoomView<'_, R>,
    asked: Asked<'_>,
    known: &Tally,
) -> Result<Option<(Tally, Vec<Placed>)>, StorageError> {
    if moved_since(&view.reader, view.room.no, asked.user, known.at)? {
        return Ok(None);
    }
    // What was counted may have been purged.
    if view.purged_at()?.is_some_and(|commit| commit > known.at) {
        return Ok(None);
    }
    let events = newest(view, Some(Stamp::end_of(known.at)))?;
    let redacts = events.iter().any(|(_, event)| event.pdu.kind() == "m.room.redaction");
    let holds = !redacts && events.len() < UNREAD_COUNTED_MAX;
    Ok(holds.then(|| (known.clone(), events)))
}

/// The newest events after a place, oldest first.
fn newest<R: Read>(
    view: &RoomView<'_, R>,
    after: Option<Stamp>,
) -> Result<Vec<Placed>, StorageError> {
    let after = after.map(|stamp| TimelinePosition { side: LIVE, stamp });
    let rows = view.timeline_back(None, after, UNREAD_COUNTED_MAX)?;
    let mut events = Vec::with_capacity(rows.len());
    for (place, no) in rows.into_iter().rev().filter(|(place, _)| place.side == LIVE) {
        events.extend(view.event(no)?.map(|event| (place.stamp, event)));
    }
    Ok(events)
}

struct Counting<'a, 'v, R> {
    view: &'a RoomView<'v, R>,
    viewer: &'a mut Viewer,
    asked: Asked<'a>,
    own: &'a Own,
    marks: Marks<'a>,
    tally: Tally,
    /// Looked up when the first event needs it.
    facts: Option<Arc<RoomFacts>>,
}

impl<R: Read> Counting<'_, '_, R> {
    fn add(&mut self, place: Stamp, event: &LoggedEvent) -> Result<(), StorageError> {
        if event.pdu.sender() == self.asked.user {
            return self.pass_own(event);
        }
        let thread = thread_of(self.view, event)?;
        if self.marks.cover(self.view, &thread, place)? || !self.is_shown(event)? {
            return Ok(());
        }
        let occasion = Occasion::new(&event.pdu, self.facts()?).map_err(|it| damaged(&it))?;
        if self.own.asks_for_name && self.tally.called.is_none() {
            let name = display_name(self.view, self.asked.user)?;
            self.tally.called = Some(Called(name.map(String::into_boxed_str)));
        }
        let display_name = self.tally.called.as_ref().and_then(Called::name);
        let whose = Whose { user: self.asked.user, display_name };
        let actions = occasion.actions(&self.own.rules.0, whose);
        self.tally.add(&thread, actions);
        Ok(())
    }

    /// Who speaks has read what was said before. Who comes in is told nothing of what was before;
    /// other changes of one's own membership, a new name above all, say nothing.
    fn pass_own(&mut self, event: &LoggedEvent) -> Result<(), StorageError> {
        if speaks(event) {
            let thread = thread_of(self.view, event)?;
            self.tally.by_thread.remove(&thread);
        } else if event.pdu.is_state_of("m.room.member", self.asked.user.as_str())
            && came_in(self.view, event)?
        {
            self.tally.by_thread.clear();
        }
        Ok(())
    }

    fn facts(&mut self) -> Result<Arc<RoomFacts>, StorageError> {
        if let Some(facts) = &self.facts {
            return Ok(Arc::clone(facts));
        }
        let facts = Arc::new(RoomFacts::of(self.view)?);
        self.facts = Some(Arc::clone(&facts));
        Ok(facts)
    }

    /// Whether an event is one the user sees.
    fn is_shown(&mut self, event: &LoggedEvent) -> Result<bool, StorageError> {
        let gone = self.view.redaction_of(event.pdu.event_id())?.is_some();
        let ignored = self.own.ignored.contains(event.pdu.sender());
        Ok(!gone && !ignored && self.viewer.may_see(self.view, event.no)?)
    }
}

/// Whether a membership event is a join of somebody who was not in the room.
fn came_in<R: Read>(view: &RoomView<'_, R>, event: &LoggedEvent) -> Result<bool, StorageError> {
    if event.membership() != Some(StoredMembership::Join) {
        return Ok(false);
    }
    let Some(around) = view.around(event.no)? else { return Ok(false) };
    let user = event.pdu.state_key().unwrap_or_default();
    let before = view.state_event_at(around.value.before, "m.room.member", user)?;
    Ok(before.and_then(|event| event.membership()) != Some(StoredMembership::Join))
}

pub(crate) fn damaged(error: &vestibule_events::PduError) -> StorageError {
    StorageError::corrupt("event_by_no", error)
}
