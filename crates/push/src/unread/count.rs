//! Counting the unread events of one room.

use std::{collections::BTreeMap, mem, sync::Arc};

use vestibule_rooms::{LoggedEvent, RoomView, TimelinePosition, Viewer};
use vestibule_storage::{
    Read, Scan, Stamp, StorageError,
    tables::room::{StoredMembership, THREAD_REPLY},
};
use vestibule_types::{
    EventNo,
    limits::{RENAMES_FOLLOWED_MAX, UNREAD_COUNTED_FEW, UNREAD_COUNTED_MAX},
};

use super::{
    Asked, Called, LIVE, MAIN, Marks, Tally, UnreadCounts, marks::moved_since, thread::speaks,
    thread_of,
};
use crate::rules::{Occasion, Own, RoomFacts, Whose, display_name};

/// A place in the stream, and which event is there.
type Placed = (Stamp, EventNo);

/// Counts what is unread, beginning with what was counted before if that still holds.
pub(super) fn count<R: Read>(
    view: &RoomView<'_, R>,
    viewer: &mut Viewer,
    (asked, own): (Asked<'_>, &Own),
    known: Option<&Tally>,
) -> Result<Tally, StorageError> {
    let (said, member) = (own.said, asked.member.stamp);
    let (at, by_thread) = (asked.at, BTreeMap::new());
    let empty = Tally { at, said, member, called: None, brief: false, by_thread };
    let marks = Marks::new(asked.user);
    let mut counting = Counting { view, viewer, asked, own, marks, tally: empty, facts: None };
    if let Some(known) = known
        && counting.go_on(known)?
    {
        return Ok(counting.tally);
    }
    counting.begin()?;
    Ok(counting.tally)
}

/// So many of the newest events after a place and up to a commit, oldest first.
fn newest<R: Read>(
    view: &RoomView<'_, R>,
    (after, up_to): (Option<Stamp>, Option<u64>),
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    let live = |stamp| TimelinePosition { side: LIVE, stamp };
    let before = up_to.map(|commit| live(Stamp::end_of(commit)));
    let rows = view.timeline_back(before, after.map(live), limit)?;
    let rows = rows.into_iter().rev().filter(|(place, _)| place.side == LIVE);
    Ok(rows.map(|(place, no)| (place.stamp, no)).collect())
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
    /// Counts anew: what was said in the main timeline after it was read there, and in threads after
    /// all was read.
    fn begin(&mut self) -> Result<(), StorageError> {
        self.tally.by_thread.clear();
        self.tally.called = None;
        let everywhere = self.marks.up_to(self.view, "")?;
        let main = everywhere.max(self.marks.up_to(self.view, MAIN)?);
        if everywhere < main {
            self.add_all(older_replies(self.view, self.asked, (everywhere, main))?)?;
        }
        let whole = self.asked.looks.any();
        let limit = if whole { UNREAD_COUNTED_MAX } else { UNREAD_COUNTED_FEW };
        let events = newest(self.view, (main, None), limit)?;
        self.asked.looks.spend(events.len());
        self.tally.brief = !whole && events.len() == limit;
        self.add_all(events)
    }

    /// Goes on from what was counted before. `false` when all has to be counted again: something that
    /// was counted may have been redacted or purged, or there is too much.
    fn go_on(&mut self, known: &Tally) -> Result<bool, StorageError> {
        // What was counted may have been purged.
        if self.view.purged_at()?.is_some_and(|commit| commit > known.at) {
            return Ok(false);
        }
        let after = Some(Stamp::end_of(known.at));
        let fresh = newest(self.view, (after, None), UNREAD_COUNTED_MAX)?;
        if fresh.len() == UNREAD_COUNTED_MAX || self.takes_back(&fresh, known.at)? {
            return Ok(false);
        }
        let kept = self.read_on(known)?;
        self.tally.by_thread = kept;
        // Other rules may ask what nobody asked before.
        let same_rules = known.said == self.own.said;
        self.tally.called = known.called.clone().filter(|_| same_rules);
        self.tally.brief = known.brief;
        self.add_all(fresh)?;
        Ok(true)
    }

    /// What was counted before, without what the user has read since.
    fn read_on(&mut self, known: &Tally) -> Result<BTreeMap<String, UnreadCounts>, StorageError> {
        let mut kept = known.by_thread.clone();
        let moved = moved_since(&self.view.reader, self.view.room.no, self.asked.user, known.at)?;
        let read = |thread: &String| moved.iter().any(|it| it.is_empty() || it == thread);
        let again: Vec<_> = kept.keys().filter(|thread| read(thread)).cloned().collect();
        let mut from = None;
        for thread in &again {
            let mark = self.marks.up_to(self.view, "")?.max(self.marks.up_to(self.view, thread)?);
            from = Some(from.map_or(mark, |from: Option<Stamp>| from.min(mark)));
            kept.remove(thread);
        }
        if let Some(from) = from {
            self.add_all(newest(self.view, (from, Some(known.at)), UNREAD_COUNTED_MAX)?)?;
            let counted = mem::take(&mut self.tally.by_thread);
            kept.extend(counted.into_iter().filter(|(thread, _)| again.contains(thread)));
        }
        Ok(kept)
    }

    /// Whether one of these events redacts something that may have been counted up to a commit.
    fn takes_back(&mut self, events: &[Placed], up_to: u64) -> Result<bool, StorageError> {
        for (_, no) in events {
            let Some(event) = self.view.event(*no)? else { continue };
            let target = match event.pdu.redacts() {
                Some(target) if event.pdu.kind() == "m.room.redaction" => target,
                _ => continue,
            };
            let Some(target) = self.view.event_by_id(target)? else { continue };
            let Some(around) = self.view.around(target.no)? else { continue };
            let place = around.stamp;
            let counted = place.commit <= up_to && target.pdu.sender() != self.asked.user;
            // What is redacted does not say any more in which thread it was.
            let reply = THREAD_REPLY.get(&self.view.reader, (self.view.room.no, place))?.is_some();
            let thread = if reply { "" } else { MAIN };
            if counted && !self.marks.cover(self.view, thread, place)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add_all(&mut self, events: Vec<Placed>) -> Result<(), StorageError> {
        for (place, no) in events {
            if let Some(event) = self.view.event(no)? {
                self.add(place, &event)?;
            }
        }
        Ok(())
    }

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

/// Replies in threads between two places, oldest first, as far as the user was in the room.
fn older_replies<R: Read>(
    view: &RoomView<'_, R>,
    asked: Asked<'_>,
    (after, up_to): (Option<Stamp>, Option<Stamp>),
) -> Result<Vec<Placed>, StorageError> {
    let no = view.room.no;
    let mut scan = Scan::prefix((no,)).reverse().limit(UNREAD_COUNTED_MAX);
    if let Some(up_to) = up_to {
        scan = scan.before((no, up_to));
    }
    if let Some(after) = after {
        scan = scan.after((no, after));
    }
    let rows = THREAD_REPLY.scan_with(&view.reader, scan)?;
    let since = if rows.is_empty() { None } else { came_in_at(view, asked)? };
    let mut replies = Vec::with_capacity(rows.len());
    for ((_, stamp), reply) in rows.into_iter().rev() {
        let live = TimelinePosition { side: LIVE, stamp };
        if Some(stamp) > since && view.timeline_at(live)? == Some(reply.event) {
            replies.push((stamp, reply.event));
        }
    }
    Ok(replies)
}

/// Where the user came into the room they are in, past changes of their name.
fn came_in_at<R: Read>(
    view: &RoomView<'_, R>,
    asked: Asked<'_>,
) -> Result<Option<Stamp>, StorageError> {
    let mut no = asked.member.value.event;
    for _ in 0..RENAMES_FOLLOWED_MAX {
        let Some(around) = view.around(no)? else { return Ok(None) };
        let user = asked.user.as_str();
        match view.state_event_at(around.value.before, "m.room.member", user)? {
            Some(before) if before.membership() == Some(StoredMembership::Join) => no = before.no,
            _ => return Ok(Some(around.stamp)),
        }
    }
    Ok(view.around(no)?.map(|around| around.stamp))
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
