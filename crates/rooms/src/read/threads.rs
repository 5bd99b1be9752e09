//! The threads of a room, the one with the newest reply first.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedRoomId};
use serde_json::value::RawValue;
use vestibule_storage::{Scan, Snapshot, Stamp, StorageError, tables::room::THREAD_REPLY};
use vestibule_types::{
    Actor, EventNo,
    limits::{HISTORY_SCAN_MAX, MESSAGES_PAGE_MAX, THREADS_SCAN_MAX},
};

use super::ReadError;
use crate::{
    LoggedEvent, Rooms, Showing, TimelinePosition,
    append::LIVE,
    bundle::{Bundler, Thread},
};

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
        self.read_as(actor, &room_id, move |view, mut access| {
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let bundler = Bundler::new(view, &mut access.viewer, showing)?;
            Ok(Page { bundler, known: BTreeMap::new() }.read(&query, from)?)
        })
        .await
    }
}

/// A thread that was met: its root, and what the reader sees of it. It is taken out where it is shown.
type Known = Option<(LoggedEvent, Thread)>;

/// One page while it is read.
struct Page<'p, 'a, 's, 'r> {
    bundler: Bundler<'p, 'a, &'r Snapshot<'s>>,
    /// Threads that were met, by their root; `None` for one that is shown already or never.
    known: BTreeMap<OwnedEventId, Known>,
}

impl Page<'_, '_, '_, '_> {
    fn read(mut self, query: &ThreadsQuery, from: Option<Stamp>) -> Result<Threads, StorageError> {
        let limit = query.limit.clamp(1, MESSAGES_PAGE_MAX);
        let no = self.bundler.view.room.no;
        let mut scan = Scan::prefix((no,)).reverse().limit(HISTORY_SCAN_MAX);
        if let Some(from) = from {
            scan = scan.before((no, from));
        }
        let replies = THREAD_REPLY.scan_with(&self.bundler.view.reader, scan)?;
        let all_of_them = replies.len() < HISTORY_SCAN_MAX;
        let mut chunk = Vec::new();
        let mut last = None;
        for ((_, stamp), reply) in replies {
            if self.known.len() == THREADS_SCAN_MAX {
                return Ok(Threads { chunk, next: last.map(token) });
            }
            // A thread is shown where its newest reply is: once, on whatever page that is.
            let met = self.thread_whose_newest(&reply.root, reply.event)?;
            if let Some((root, thread)) =
                met.filter(|(_, thread)| thread.participated || !query.participated)
            {
                // Only a further thread is a reason for a further page.
                if chunk.len() == limit {
                    return Ok(Threads { chunk, next: last.map(token) });
                }
                chunk.push(self.bundler.show_root(&root, thread)?);
            }
            last = Some(stamp);
        }
        let next = last.filter(|_| !all_of_them).map(token);
        Ok(Threads { chunk, next })
    }

    /// The thread of a root, if this event is its newest reply that the reader sees.
    fn thread_whose_newest(
        &mut self,
        root: &EventId,
        reply: EventNo,
    ) -> Result<Known, StorageError> {
        if !self.known.contains_key(root) {
            let thread = self.thread(root)?;
            self.known.insert(root.to_owned(), thread);
        }
        Ok(match self.known.get_mut(root) {
            Some(known) if known.as_ref().is_some_and(|(_, it)| it.latest.no == reply) => {
                known.take()
            }
            _ => None,
        })
    }

    /// The thread of a root, if the reader sees the root and a reply.
    fn thread(&mut self, root: &EventId) -> Result<Known, StorageError> {
        let Some(root) = self.bundler.view.event_by_id(root)? else { return Ok(None) };
        if !self.bundler.viewer.may_see(self.bundler.view, root.no)? {
            return Ok(None);
        }
        Ok(self.bundler.thread(&root)?.map(|thread| (root, thread)))
    }
}

/// A pagination token for the place of a reply.
fn token(stamp: Stamp) -> String {
    TimelinePosition { side: LIVE, stamp }.to_string()
}
