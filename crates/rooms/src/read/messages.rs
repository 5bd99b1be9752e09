//! Pages of history.

use std::collections::BTreeMap;

use ruma::{
    OwnedEventId, OwnedRoomId,
    api::client::filter::{RoomEventFilter, UrlFilter},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_storage::{Snapshot, Stamp, StorageError};
use vestibule_types::{
    Actor, EventNo,
    limits::{HISTORY_FETCHES_MAX, HISTORY_SCAN_MAX, MESSAGES_PAGE_MAX},
};

use super::{
    ReadError,
    access::Access,
    gaps::{Filled, Gaps},
    related::RelatedBy,
};
use crate::{LoggedEvent, RoomView, Rooms, Showing, TimelinePosition};

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the past.
    Backward,
    /// Towards the present.
    Forward,
}

/// Which page is wanted.
#[derive(Clone, Debug)]
pub struct MessagesQuery {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Which way.
    pub direction: Direction,
    /// Where to begin; at the end that lies opposite to the direction when it is not given.
    pub from: Option<String>,
    /// Where to stop.
    pub to: Option<String>,
    /// At most so many events.
    pub limit: usize,
    /// Which events.
    pub filter: RoomEventFilter,
    /// Which of them, by what relates to them.
    pub related_by: RelatedBy,
}

/// A page of history.
#[derive(Debug)]
pub struct Messages {
    /// Where it begins.
    pub start: String,
    /// Where the next one begins; `None` when there is nothing more.
    pub end: Option<String>,
    /// The events, in the direction of reading.
    pub chunk: Vec<Box<RawValue>>,
    /// State that helps to show them: the members who sent them, when they are loaded lazily.
    pub state: Vec<Box<RawValue>>,
}

impl Rooms {
    /// A page of a room's history, as far as the reader may see it. Where a page that is read towards
    /// the past comes to a gap, what lies in it is fetched first.
    pub async fn messages(
        &self,
        actor: &Actor,
        query: MessagesQuery,
    ) -> Result<Messages, ReadError> {
        let mut fetches = 0;
        let mut passing = query.direction == Direction::Forward;
        loop {
            let Reached { page, gap } = self.page(actor, query.clone(), passing).await?;
            let Some(missing) = gap.filter(|_| fetches < HISTORY_FETCHES_MAX) else {
                return Ok(page);
            };
            fetches += 1;
            match self.fill_gap(&query.room_id, missing).await {
                Filled::Some => {}
                // The page ends at the gap, and the next one tries again.
                Filled::NotNow if !page.chunk.is_empty() => return Ok(page),
                Filled::NotNow | Filled::Nothing => passing = true,
            }
        }
    }

    /// A page, up to the first gap unless gaps are passed over.
    async fn page(
        &self,
        actor: &Actor,
        query: MessagesQuery,
        passing: bool,
    ) -> Result<Reached, ReadError> {
        let slot = self.inner.store.slot_of_room(&query.room_id).0;
        // Clients that send an empty token mean none.
        let token = |text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(|text| TimelinePosition::of_token(text, slot)).transpose()
        };
        let (from, to) = (token(&query.from)?, token(&query.to)?);
        let (asker, now) = (actor.clone(), self.inner.env.now());
        let room_id = query.room_id.clone();
        let policy = self.inner.policy.current();
        self.read_as(actor, &room_id, move |view, access| {
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let gaps = if passing {
                Gaps::default()
            } else {
                view.gaps_to_fill(&policy, asker.user_id())?
            };
            Page { view, access, showing, query: &query, gaps }.read(from, to)
        })
        .await
    }
}

/// A page, and the parents that are missing where it ends.
struct Reached {
    page: Messages,
    gap: Option<Vec<OwnedEventId>>,
}

/// One page while it is read.
struct Page<'p, 'a, 's> {
    view: &'p RoomView<'a, &'p Snapshot<'s>>,
    access: Access,
    showing: Showing<'p>,
    query: &'p MessagesQuery,
    gaps: Gaps,
}

impl Page<'_, '_, '_> {
    fn read(
        mut self,
        from: Option<TimelinePosition>,
        to: Option<TimelinePosition>,
    ) -> Result<Reached, ReadError> {
        let limit = self.query.limit.min(MESSAGES_PAGE_MAX);
        if limit == 0 {
            let here = from.map_or_else(|| self.outermost(), Ok)?.to_string();
            let (end, chunk) = (Some(here.clone()), Vec::new());
            let page = Messages { start: here, end, chunk, state: Vec::new() };
            return Ok(Reached { page, gap: None });
        }
        let mut at = from;
        let mut found: Vec<LoggedEvent> = Vec::new();
        let mut exhausted = false;
        let mut looked_at = 0;
        let mut gap = self.gap_at(from)?;
        // Events that are filtered out or hidden count as looked at: the page may end before it is
        // full, with a token to go on from.
        while gap.is_none() && found.len() < limit && !exhausted && looked_at < HISTORY_SCAN_MAX {
            let rows = self.rows(at, to, limit)?;
            exhausted = rows.len() < limit;
            for (position, no) in rows {
                looked_at += 1;
                at = Some(match self.query.direction {
                    Direction::Backward => position,
                    Direction::Forward => position.next(),
                });
                if let Some(event) = self.visible(no)? {
                    found.push(event);
                }
                let full = found.len() == limit;
                if !full {
                    gap = self.gap_before(no)?;
                }
                if full || gap.is_some() {
                    exhausted = false;
                    break;
                }
            }
        }
        let state = self.senders(&found)?;
        let chunk = self.view.show_all(&mut self.access.viewer, &found, self.showing)?.events;
        let start = from.map_or_else(|| self.outermost(), Ok)?.to_string();
        let end = at.filter(|_| !exhausted).map(|position| position.to_string());
        Ok(Reached { page: Messages { start, end, chunk, state }, gap })
    }

    /// The gap right before a place, where the page begins at the event that it lies before.
    fn gap_at(
        &self,
        from: Option<TimelinePosition>,
    ) -> Result<Option<Vec<OwnedEventId>>, ReadError> {
        let Some(from) = from else { return Ok(None) };
        match self.view.timeline_at(from)? {
            Some(no) => self.gap_before(no),
            None => Ok(None),
        }
    }

    /// The parents of an event that are missing. A gap that is closed is none, even where that was not
    /// noted: nobody could read past it.
    fn gap_before(&self, no: EventNo) -> Result<Option<Vec<OwnedEventId>>, ReadError> {
        let Some(missing) = self.gaps.before(no) else { return Ok(None) };
        let missing = self.view.still_missing(missing)?;
        Ok(Some(missing).filter(|missing| !missing.is_empty()))
    }

    /// Where a page without `from` begins: at the beginning of the room, or behind what is newest now, so
    /// that what comes later lies behind it.
    fn outermost(&self) -> Result<TimelinePosition, StorageError> {
        let first = TimelinePosition { side: 0, stamp: Stamp { commit: 0, index: 0 } };
        if self.query.direction == Direction::Forward {
            return Ok(first);
        }
        let newest = self.view.timeline_back(None, None, 1)?;
        Ok(newest.first().map_or(first, |(position, _)| position.next()))
    }

    fn rows(
        &self,
        at: Option<TimelinePosition>,
        to: Option<TimelinePosition>,
        limit: usize,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, ReadError> {
        let rows = match self.query.direction {
            // A place lies before the event at its position: whoever reads towards the past does not
            // meet that one, whoever reads towards the present begins with it.
            Direction::Backward => {
                self.view.timeline_back(at, to.map(TimelinePosition::previous), limit)
            }
            Direction::Forward => {
                self.view.timeline_forward(at.map(TimelinePosition::previous), to, limit)
            }
        };
        Ok(rows?)
    }

    fn visible(&mut self, no: EventNo) -> Result<Option<LoggedEvent>, ReadError> {
        let Some(event) = self.view.event(no)? else { return Ok(None) };
        if !wanted(&self.query.filter, &event) || self.access.viewer.ignores(self.view, &event)? {
            return Ok(None);
        }
        let viewer = &mut self.access.viewer;
        let seen = viewer.may_see(self.view, no)?
            && self.query.related_by.admits(self.view, viewer, &event)?;
        Ok(seen.then_some(event))
    }

    /// The membership events of those who sent the page, each as it was before what they sent first, for
    /// clients that load members lazily.
    fn senders(&mut self, events: &[LoggedEvent]) -> Result<Vec<Box<RawValue>>, ReadError> {
        if self.query.filter.lazy_load_options.is_disabled() {
            return Ok(Vec::new());
        }
        let mut oldest: BTreeMap<&str, EventNo> = BTreeMap::new();
        for event in events {
            let known = oldest.entry(event.pdu.sender().as_str()).or_insert(event.no);
            if self.query.direction == Direction::Backward {
                *known = event.no;
            }
        }
        let mut members = Vec::new();
        for (sender, no) in oldest {
            let Some(around) = self.view.around(no)? else { continue };
            let at = around.value.before;
            if let Some(member) = self.view.state_event_at(at, "m.room.member", sender)? {
                members.push(self.view.show(&mut self.access.viewer, &member, self.showing)?);
            }
        }
        Ok(members)
    }
}

#[derive(Deserialize)]
struct HasUrl {
    url: Option<serde::de::IgnoredAny>,
}

/// Whether a filter lets an event through.
#[must_use]
pub fn wanted(filter: &RoomEventFilter, event: &LoggedEvent) -> bool {
    let kind = event.pdu.kind();
    let sender = event.pdu.sender();
    if !admits_type(filter, kind)
        || filter.not_senders.iter().any(|not| not == sender)
        || filter.not_rooms.iter().any(|not| not == event.pdu.room_id())
    {
        return false;
    }
    let of_sender = filter.senders.as_ref().is_none_or(|all| all.iter().any(|it| it == sender));
    let of_room =
        filter.rooms.as_ref().is_none_or(|all| all.iter().any(|it| it == event.pdu.room_id()));
    let has_url = || event.pdu.content_as::<HasUrl>().is_ok_and(|it| it.url.is_some());
    let of_url = match filter.url_filter {
        Some(UrlFilter::EventsWithUrl) => has_url(),
        Some(UrlFilter::EventsWithoutUrl) => !has_url(),
        None => true,
    };
    of_sender && of_room && of_url
}

/// Whether a filter lets events of a type through.
pub(super) fn admits_type(filter: &RoomEventFilter, kind: &str) -> bool {
    let any = |types: &[String]| types.iter().any(|pattern| type_matches(pattern, kind));
    !any(&filter.not_types) && filter.types.as_deref().is_none_or(any)
}

/// Whether a type fits a pattern of a filter, in which `*` stands for any run of characters.
#[must_use]
pub fn type_matches(pattern: &str, kind: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = kind.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::type_matches;

    #[test]
    fn a_star_in_a_type_stands_for_anything() {
        for (pattern, kind, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.*", "m.room.name", true),
            ("*", "anything", true),
            ("m.*.start", "m.call.start", true),
            ("m.*.start", "m.call.started", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xb", false),
        ] {
            assert_eq!(type_matches(pattern, kind), expected, "{pattern} {kind}");
        }
    }
}
