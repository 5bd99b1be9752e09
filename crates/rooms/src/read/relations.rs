//! What relates to an event.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{EventId, OwnedEventId, OwnedRoomId};
use serde_json::value::RawValue;
use vestibule_storage::{
    Scan, Snapshot, Stamp, StorageError,
    tables::{relation::RELATION_BY_TYPE, room::RELATION_BY_PARENT},
};
use vestibule_types::{
    Actor, EventNo,
    limits::{MESSAGES_PAGE_MAX, RELATION_DEPTH_MAX, RELATIONS_SCAN_MAX},
};

use super::{Direction, ReadError};
use crate::{LoggedEvent, Rooms, Showing, TimelinePosition, append::LIVE, bundle::Bundler};

/// Which relations are wanted.
#[derive(Clone, Debug)]
pub struct RelationsQuery {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event others relate to.
    pub event_id: OwnedEventId,
    /// Only relations of this type.
    pub rel_type: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// Where to begin.
    pub from: Option<String>,
    /// Where to stop.
    pub to: Option<String>,
    /// At most so many events.
    pub limit: usize,
    /// Whether what relates to a related event is wanted too.
    pub recurse: bool,
}

/// A page of relations.
#[derive(Debug)]
pub struct Relations {
    /// The events, in the direction of reading.
    pub chunk: Vec<Box<RawValue>>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<String>,
    /// Where this page began; `None` for the first one.
    pub previous: Option<String>,
    /// How many relations were followed, when that was asked for.
    pub recursion_depth: Option<u8>,
}

/// An event that relates to another, by its place in the stream.
type Related = (Stamp, EventNo);

impl Rooms {
    /// A page of the events that relate to an event, as far as the reader may see them. What was
    /// redacted does not relate to anything any more.
    pub async fn relations(
        &self,
        actor: &Actor,
        query: RelationsQuery,
    ) -> Result<Relations, ReadError> {
        let slot = self.inner.store.slot_of_room(&query.room_id).0;
        let position = |text: &Option<String>| {
            text.as_deref().map(|text| TimelinePosition::of_token(text, slot)).transpose()
        };
        let (from, to) = (position(&query.from)?, position(&query.to)?);
        let (asker, now) = (actor.clone(), self.inner.env.now());
        let room_id = query.room_id.clone();
        let read = self.read_as(actor, &room_id, move |view, mut access| {
            let parent = view.event_by_id(&query.event_id)?.ok_or(ReadError::NotFound)?;
            if !access.viewer.may_see(view, parent.no)? {
                return Err(ReadError::NotFound);
            }
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let bundler = Bundler::new(view, &mut access.viewer, showing)?;
            let Found { events, next } = Page { bundler, query: &query }.read((from, to))?;
            let events: Vec<LoggedEvent> = events.into_iter().map(|(_, event)| event).collect();
            Ok(Relations {
                chunk: view.show_all(&mut access.viewer, &events, showing)?.events,
                next: next.map(|last| token(last, query.direction)),
                previous: from.map(|from| from.to_string()),
                recursion_depth: query.recurse.then_some(RELATION_DEPTH_MAX),
            })
        });
        match read.await {
            // Whether the event exists is not told to those who may not see it.
            Err(ReadError::NotMember) => Err(ReadError::NotFound),
            other => other,
        }
    }
}

/// One page while it is read.
struct Page<'p, 'a, 's, 'r> {
    bundler: Bundler<'p, 'a, &'r Snapshot<'s>>,
    query: &'p RelationsQuery,
}

type Bounds = (Option<TimelinePosition>, Option<TimelinePosition>);

/// What a page holds.
#[derive(Default)]
struct Found {
    events: Vec<(Stamp, LoggedEvent)>,
    /// The last event of the page, when there are more behind it.
    next: Option<Stamp>,
}

impl Page<'_, '_, '_, '_> {
    fn read(mut self, bounds: Bounds) -> Result<Found, StorageError> {
        if self.query.recurse { self.read_deeply(bounds) } else { self.read_directly(bounds) }
    }

    /// At most so many events.
    fn limit(&self) -> usize {
        self.query.limit.clamp(1, MESSAGES_PAGE_MAX)
    }

    /// What relates to the event itself.
    fn read_directly(&mut self, bounds: Bounds) -> Result<Found, StorageError> {
        let limit = self.limit();
        let related = self.related(bounds)?;
        let mut found = Found::default();
        for stretch in related.chunks(limit) {
            for event in self.wanted(stretch)? {
                if found.events.len() == limit {
                    found.next = found.events.last().map(|(stamp, _)| *stamp);
                    return Ok(found);
                }
                found.events.push(event);
            }
        }
        if related.len() == RELATIONS_SCAN_MAX {
            found.next = related.last().map(|(stamp, _)| *stamp);
        }
        Ok(found)
    }

    /// What relates to the event over a few steps, each event once. A step is only taken over an
    /// event that is wanted itself.
    fn read_deeply(&mut self, (from, to): Bounds) -> Result<Found, StorageError> {
        let mut seen = BTreeSet::from([self.query.event_id.clone()]);
        let mut parents = vec![self.query.event_id.clone()];
        let mut all = Vec::new();
        for _ in 0..RELATION_DEPTH_MAX {
            let mut children = Vec::new();
            for parent in parents {
                let left = RELATIONS_SCAN_MAX.saturating_sub(all.len());
                let rows = self.relations_of(&parent, left)?;
                for (stamp, event) in self.wanted(&rows)? {
                    let event_id = event.pdu.event_id().clone();
                    if seen.insert(event_id.clone()) {
                        children.push(event_id);
                        all.push((stamp, event));
                    }
                }
            }
            parents = children;
        }
        let (from, to) = (from.map(|it| it.stamp), to.map(|it| it.stamp));
        match self.query.direction {
            Direction::Forward => {
                all.sort_by_key(|(stamp, _)| *stamp);
                all.retain(|(at, _)| {
                    from.is_none_or(|it| *at >= it) && to.is_none_or(|it| *at < it)
                });
            }
            Direction::Backward => {
                all.sort_by_key(|(stamp, _)| std::cmp::Reverse(*stamp));
                all.retain(|(at, _)| {
                    from.is_none_or(|it| *at < it) && to.is_none_or(|it| *at >= it)
                });
            }
        }
        let more = all.len() > self.limit();
        all.truncate(self.limit());
        let next = all.last().map(|(stamp, _)| *stamp).filter(|_| more);
        Ok(Found { events: all, next })
    }

    /// Those of some related events that the reader wants and sees.
    fn wanted(&mut self, related: &[Related]) -> Result<Vec<(Stamp, LoggedEvent)>, StorageError> {
        let stamps: BTreeMap<EventNo, Stamp> = related.iter().map(|(at, no)| (*no, *at)).collect();
        let nos: Vec<EventNo> = related.iter().map(|(_, no)| *no).collect();
        let kind = self.query.event_type.as_deref();
        let standing = self.bundler.standing(&nos)?.into_iter();
        let wanted = standing.filter(|event| kind.is_none_or(|kind| kind == event.pdu.kind()));
        Ok(wanted.filter_map(|event| Some((*stamps.get(&event.no)?, event))).collect())
    }

    /// What relates to the event, in the direction of reading.
    fn related(&self, (from, to): Bounds) -> Result<Vec<Related>, StorageError> {
        let (view, parent) = (self.bundler.view, &*self.query.event_id);
        let (no, forward) = (view.room.no, self.query.direction == Direction::Forward);
        let (least, most) = if forward { (from, to) } else { (to, from) };
        let first = least.map(|it| it.stamp).unwrap_or_default();
        let before = most.map_or(FOREVER, |it| it.stamp);
        if let Some(kind) = self.query.rel_type.as_deref() {
            let mut scan = Scan::prefix((no, parent, kind)).limit(RELATIONS_SCAN_MAX);
            scan = scan.from((no, parent, kind, first)).before((no, parent, kind, before));
            scan = if forward { scan } else { scan.reverse() };
            let rows = RELATION_BY_TYPE.scan_with(&view.reader, scan)?;
            return Ok(rows.into_iter().map(|((.., stamp), row)| (stamp, row.0)).collect());
        }
        let mut scan = Scan::prefix((no, parent)).limit(RELATIONS_SCAN_MAX);
        scan = scan.from((no, parent, first)).before((no, parent, before));
        scan = if forward { scan } else { scan.reverse() };
        let rows = RELATION_BY_PARENT.scan_with(&view.reader, scan)?;
        Ok(rows.into_iter().map(|((.., stamp), relation)| (stamp, relation.event)).collect())
    }

    /// What relates to some event by the wanted type, oldest first.
    fn relations_of(&self, parent: &EventId, limit: usize) -> Result<Vec<Related>, StorageError> {
        let view = self.bundler.view;
        let no = view.room.no;
        if let Some(kind) = self.query.rel_type.as_deref() {
            let rows = RELATION_BY_TYPE.scan(&view.reader, (no, parent, kind), limit)?;
            return Ok(rows.into_iter().map(|((.., stamp), row)| (stamp, row.0)).collect());
        }
        let rows = RELATION_BY_PARENT.scan(&view.reader, (no, parent), limit)?;
        Ok(rows.into_iter().map(|((.., stamp), relation)| (stamp, relation.event)).collect())
    }
}

/// Later than every stamp.
const FOREVER: Stamp = Stamp { commit: Stamp::PENDING, index: u16::MAX };

/// Where reading goes on behind the event at a stamp.
fn token(stamp: Stamp, direction: Direction) -> String {
    let at = TimelinePosition { side: LIVE, stamp };
    let place = match direction {
        Direction::Backward => at,
        Direction::Forward => at.next(),
    };
    place.to_string()
}
