//! What relates to an event.

use std::collections::BTreeSet;

use ruma::{EventId, OwnedEventId, OwnedRoomId};
use serde_json::value::RawValue;
use vestibule_storage::{
    Read, Scan, Snapshot, Stamp, StorageError,
    tables::room::{RELATION_BY_PARENT, StoredRelation},
};
use vestibule_types::{
    Actor,
    limits::{MESSAGES_PAGE_MAX, RELATION_DEPTH_MAX, RELATIONS_SCAN_MAX},
};

use super::{Direction, ReadError, access::Access};
use crate::{LoggedEvent, RoomView, Rooms, Showing, TimelinePosition, append::LIVE};

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

/// An event that relates to another, at its place in the stream.
type Related = (Stamp, StoredRelation);

impl Rooms {
    /// A page of the events that relate to an event, as far as the reader may see them. What was
    /// redacted does not relate to anything any more.
    pub async fn relations(
        &self,
        actor: &Actor,
        query: RelationsQuery,
    ) -> Result<Relations, ReadError> {
        let slot = self.inner.store.slot_of_room(&query.room_id).0;
        let token = |text: &Option<String>| {
            text.as_deref().map(|text| TimelinePosition::of_token(text, slot)).transpose()
        };
        let (from, to) = (token(&query.from)?, token(&query.to)?);
        let (asker, now) = (actor.clone(), self.inner.env.now());
        let room_id = query.room_id.clone();
        let read = self.read_as(actor, &room_id, move |view, mut access| {
            let parent = view.event_by_id(&query.event_id)?.ok_or(ReadError::NotFound)?;
            if !access.viewer.may_see(view, parent.no)? {
                return Err(ReadError::NotFound);
            }
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            Page { view, access, showing, query: &query }.read((from, to))
        });
        match read.await {
            // Whether the event exists is not told to those who may not see it.
            Err(ReadError::NotMember) => Err(ReadError::NotFound),
            other => other,
        }
    }
}

/// One page while it is read.
struct Page<'p, 'a, 's> {
    view: &'p RoomView<'a, &'p Snapshot<'s>>,
    access: Access,
    showing: Showing<'p>,
    query: &'p RelationsQuery,
}

type Bounds = (Option<TimelinePosition>, Option<TimelinePosition>);

impl Page<'_, '_, '_> {
    fn read(mut self, bounds: Bounds) -> Result<Relations, ReadError> {
        let related = if self.query.recurse {
            self.view.related_deeply(self.query, bounds)?
        } else {
            self.view.related(self.query, bounds)?
        };
        let limit = self.query.limit.clamp(1, MESSAGES_PAGE_MAX);
        let mut found: Vec<(Stamp, LoggedEvent)> = Vec::new();
        let mut next = (related.len() == RELATIONS_SCAN_MAX)
            .then(|| related.last().map(|(stamp, _)| token(*stamp)))
            .flatten();
        for (stamp, relation) in &related {
            let Some(event) = self.wanted(relation)? else { continue };
            if found.len() == limit {
                next = found.last().map(|(stamp, _)| token(*stamp));
                break;
            }
            found.push((*stamp, event));
        }
        let mut chunk = Vec::with_capacity(found.len());
        for (_, event) in &found {
            chunk.push(self.view.show(&mut self.access.viewer, event, self.showing)?);
        }
        Ok(Relations {
            chunk,
            next,
            previous: bounds.0.map(|from| from.to_string()),
            recursion_depth: self.query.recurse.then_some(RELATION_DEPTH_MAX),
        })
    }

    fn wanted(&mut self, relation: &StoredRelation) -> Result<Option<LoggedEvent>, ReadError> {
        let of_type = self.query.rel_type.as_ref().is_none_or(|it| *it == relation.rel_type);
        if !of_type {
            return Ok(None);
        }
        let Some(event) = self.view.event(relation.event)? else { return Ok(None) };
        let of_kind = self.query.event_type.as_ref().is_none_or(|it| it == event.pdu.kind());
        let stands = of_kind
            && self.view.redaction_of(event.pdu.event_id())?.is_none()
            && self.access.viewer.may_see(self.view, event.no)?;
        Ok(stands.then_some(event))
    }
}

impl<R: Read> RoomView<'_, R> {
    /// What relates to an event directly.
    fn related(
        &self,
        query: &RelationsQuery,
        (from, to): Bounds,
    ) -> Result<Vec<Related>, StorageError> {
        let (no, parent) = (self.room.no, &*query.event_id);
        let mut scan = Scan::prefix((no, parent)).limit(RELATIONS_SCAN_MAX);
        let (least, most) = match query.direction {
            Direction::Forward => (from, to),
            Direction::Backward => {
                scan = scan.reverse();
                (to, from)
            }
        };
        if let Some(least) = least {
            scan = scan.after((no, parent, least.stamp));
        }
        if let Some(most) = most {
            scan = scan.before((no, parent, most.stamp));
        }
        let rows = RELATION_BY_PARENT.scan_with(&self.reader, scan)?;
        Ok(rows.into_iter().map(|((_, _, stamp), relation)| (stamp, relation)).collect())
    }

    /// What relates to an event over a few steps, each event once.
    fn related_deeply(
        &self,
        query: &RelationsQuery,
        (from, to): Bounds,
    ) -> Result<Vec<Related>, StorageError> {
        let mut seen = BTreeSet::from([query.event_id.clone()]);
        let mut parents = vec![query.event_id.clone()];
        let mut all = Vec::new();
        for _ in 0..RELATION_DEPTH_MAX {
            let mut children = Vec::new();
            for parent in parents {
                let left = RELATIONS_SCAN_MAX.saturating_sub(all.len());
                for (stamp, relation) in self.relations_of(&parent, left)? {
                    let Some(event) = self.event(relation.event)? else { continue };
                    let event_id = event.pdu.event_id().clone();
                    if seen.insert(event_id.clone()) {
                        children.push(event_id);
                        all.push((stamp, relation));
                    }
                }
            }
            parents = children;
        }
        let (from, to) = (from.map(|it| it.stamp), to.map(|it| it.stamp));
        match query.direction {
            Direction::Forward => {
                all.sort_by_key(|(stamp, _)| *stamp);
                all.retain(|(at, _)| {
                    from.is_none_or(|it| *at > it) && to.is_none_or(|it| *at < it)
                });
            }
            Direction::Backward => {
                all.sort_by_key(|(stamp, _)| std::cmp::Reverse(*stamp));
                all.retain(|(at, _)| {
                    from.is_none_or(|it| *at < it) && to.is_none_or(|it| *at > it)
                });
            }
        }
        Ok(all)
    }

    fn relations_of(&self, parent: &EventId, limit: usize) -> Result<Vec<Related>, StorageError> {
        let rows = RELATION_BY_PARENT.scan(&self.reader, (self.room.no, parent), limit)?;
        Ok(rows.into_iter().map(|((_, _, stamp), relation)| (stamp, relation)).collect())
    }
}

/// A pagination token for the place of a relation.
fn token(stamp: Stamp) -> String {
    TimelinePosition { side: LIVE, stamp }.to_string()
}
