//! The threads of a room, the one with the newest reply first.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedRoomId, UserId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use vestibule_storage::{
    Scan, Snapshot, Stamp, StorageError,
    tables::room::{RELATION_BY_PARENT, THREAD_REPLY},
};
use vestibule_types::{
    Actor, EventNo,
    limits::{HISTORY_SCAN_MAX, MESSAGES_PAGE_MAX, THREAD_REPLIES_COUNTED_MAX, THREADS_SCAN_MAX},
};

use super::{ReadError, access::Access};
use crate::{RoomView, Rooms, Showing, TimelinePosition, append::LIVE};

/// Which threads are wanted.
#[derive(Clone, Debug)]
pub struct ThreadsQuery {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Only those the reader wrote in.
    pub participated: bool,
    /// Where to begin.
    pub from: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of threads.
#[derive(Debug)]
pub struct Threads {
    /// The events that threads grow out of, each with a summary of its thread.
    pub chunk: Vec<Box<RawValue>>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<String>,
}

impl Rooms {
    /// A page of a room's threads, as far as the reader may see them.
    pub async fn threads(&self, actor: &Actor, query: ThreadsQuery) -> Result<Threads, ReadError> {
        let slot = self.inner.store.slot_of_room(&query.room_id).0;
        let from = query.from.as_deref().map(|text| TimelinePosition::of_token(text, slot));
        let from = from.transpose()?.map(|position| position.stamp);
        let (asker, now) = (actor.clone(), self.inner.env.now());
        let room_id = query.room_id.clone();
        self.read_as(actor, &room_id, move |view, access| {
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let known = BTreeMap::new();
            Page { view, access, showing, reader: asker.user_id(), known }.read(&query, from)
        })
        .await
    }
}

/// What a reader sees of a thread.
struct Thread {
    latest: EventNo,
    count: usize,
    participated: bool,
}

/// One page while it is read.
struct Page<'p, 'a, 's> {
    view: &'p RoomView<'a, &'p Snapshot<'s>>,
    access: Access,
    showing: Showing<'p>,
    reader: &'p UserId,
    /// Threads that were met, by their root; `None` for one that nothing is seen of.
    known: BTreeMap<OwnedEventId, Option<Thread>>,
}

impl Page<'_, '_, '_> {
    fn read(mut self, query: &ThreadsQuery, from: Option<Stamp>) -> Result<Threads, ReadError> {
        let limit = query.limit.clamp(1, MESSAGES_PAGE_MAX);
        let no = self.view.room.no;
        let mut scan = Scan::prefix((no,)).reverse().limit(HISTORY_SCAN_MAX);
        if let Some(from) = from {
            scan = scan.before((no, from));
        }
        let replies = THREAD_REPLY.scan_with(&self.view.reader, scan)?;
        let all_of_them = replies.len() < HISTORY_SCAN_MAX;
        let mut chunk = Vec::new();
        let mut last = None;
        for ((_, stamp), reply) in replies {
            if chunk.len() == limit || self.known.len() == THREADS_SCAN_MAX {
                return Ok(Threads { chunk, next: last.map(token) });
            }
            last = Some(stamp);
            // A thread is shown where its newest reply is: once, on whatever page that is.
            if let Some(thread) = self.thread_whose_newest(&reply.root, reply.event)? {
                let wanted = thread.participated || !query.participated;
                if let (Some(root), true) = (self.shown(&reply.root, &thread)?, wanted) {
                    chunk.push(root);
                }
            }
        }
        let next = last.filter(|_| !all_of_them).map(token);
        Ok(Threads { chunk, next })
    }

    /// The thread of a root, if this event is its newest reply that the reader sees.
    fn thread_whose_newest(
        &mut self,
        root: &EventId,
        reply: EventNo,
    ) -> Result<Option<Thread>, ReadError> {
        if !self.known.contains_key(root) {
            let thread = self.thread(root)?;
            self.known.insert(root.to_owned(), thread);
        }
        Ok(match self.known.get_mut(root) {
            Some(known) if known.as_ref().is_some_and(|it| it.latest == reply) => known.take(),
            _ => None,
        })
    }

    fn thread(&mut self, root: &EventId) -> Result<Option<Thread>, ReadError> {
        let newest_first =
            Scan::prefix((self.view.room.no, root)).reverse().limit(THREAD_REPLIES_COUNTED_MAX);
        let rows = RELATION_BY_PARENT.scan_with(&self.view.reader, newest_first)?;
        let mut thread: Option<Thread> = None;
        for (_, relation) in rows.into_iter().filter(|(_, it)| it.rel_type == "m.thread") {
            let Some(event) = self.view.event(relation.event)? else { continue };
            let stands = self.view.redaction_of(event.pdu.event_id())?.is_none()
                && self.access.viewer.may_see(self.view, event.no)?;
            if stands {
                let latest = event.no;
                let thread = thread.get_or_insert(Thread { latest, count: 0, participated: false });
                thread.count += 1;
                thread.participated |= event.pdu.sender() == self.reader;
            }
        }
        if let (Some(thread), Some(root)) = (&mut thread, self.view.event_by_id(root)?) {
            thread.participated |= root.pdu.sender() == self.reader;
        }
        Ok(thread)
    }

    /// The root of a thread with the summary of it, if the reader may see the root.
    fn shown(
        &mut self,
        root: &EventId,
        thread: &Thread,
    ) -> Result<Option<Box<RawValue>>, ReadError> {
        let (Some(root), Some(latest)) =
            (self.view.event_by_id(root)?, self.view.event(thread.latest)?)
        else {
            return Ok(None);
        };
        if !self.access.viewer.may_see(self.view, root.no)? {
            return Ok(None);
        }
        let latest_event = self.view.show(&mut self.access.viewer, &latest, self.showing)?;
        let root = self.view.show(&mut self.access.viewer, &root, self.showing)?;
        let summary = Relations {
            thread: Summary {
                latest_event,
                count: thread.count,
                current_user_participated: thread.participated,
            },
        };
        let root = with_relations(&root, &summary);
        let root = root.map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
        Ok(Some(root))
    }
}

/// What `m.relations` of the root says.
#[derive(Serialize)]
struct Relations {
    #[serde(rename = "m.thread")]
    thread: Summary,
}

#[derive(Serialize)]
struct Summary {
    latest_event: Box<RawValue>,
    count: usize,
    current_user_participated: bool,
}

/// An event with `m.relations` among what the server adds to it. Nothing else of it is rewritten.
fn with_relations(
    event: &RawValue,
    relations: &Relations,
) -> Result<Box<RawValue>, serde_json::Error> {
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(event.get())?;
    let mut unsigned: BTreeMap<String, Box<RawValue>> = match fields.get("unsigned") {
        Some(unsigned) => serde_json::from_str(unsigned.get())?,
        None => BTreeMap::new(),
    };
    unsigned.insert("m.relations".to_owned(), to_raw_value(relations)?);
    fields.insert("unsigned".to_owned(), to_raw_value(&unsigned)?);
    to_raw_value(&fields)
}

/// A pagination token for the place of a reply.
fn token(stamp: Stamp) -> String {
    TimelinePosition { side: LIVE, stamp }.to_string()
}
