//! Stretches of timelines and receipts that were rendered already, for the other members of the room.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tokio::sync::watch;
use vestibule_push::Fresh;
use vestibule_types::{
    EventNo, RoomNo,
    limits::{SHARED_RECEIPTS_BYTES_MAX, SHARED_TIMELINES_BYTES_MAX, SHARED_TIMELINES_USUAL},
};

use crate::{RawEvent, Timeline, pass::TimelineEvents};

/// A stretch of a timeline up to its end, as a filter shows it to somebody who was in the room all
/// the time. Redactions are events, so a later one makes another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) room: RoomNo,
    pub(crate) first: EventNo,
    pub(crate) last: EventNo,
    pub(crate) filter: u64,
    pub(crate) limit: usize,
    /// Events tell their age, so what was rendered is good for a second.
    pub(crate) second: u64,
}

/// Events, and how they are shown.
#[derive(Debug)]
pub(crate) struct SharedTimeline {
    pub(crate) events: TimelineEvents,
    pub(crate) section: Timeline,
    /// What it takes to tell them without reading anything; `None` where few listen, and where it
    /// takes more than this.
    pub(crate) ready: Option<Ready>,
}

/// What is the same for everybody who is told some events.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) room_id: OwnedRoomId,
    /// The events, to be held against rules.
    pub(crate) fresh: Fresh,
    /// The member events of those who sent them, where clients load members lazily.
    pub(crate) senders: Vec<(OwnedUserId, EventNo)>,
}

impl SharedTimeline {
    /// Whether a user sent one of them: they are shown more than others.
    pub(crate) fn is_by(&self, user: &UserId) -> bool {
        self.events.list.iter().any(|(_, event)| event.pdu.sender() == user)
    }

    fn bytes(&self) -> usize {
        self.section.events.iter().map(|event| event.get().len() + 512).sum()
    }
}

/// The receipts of a room that came in some commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReceiptsKey {
    pub(crate) room: RoomNo,
    /// The first commit.
    pub(crate) first: u64,
    /// The last commit.
    pub(crate) last: u64,
}

/// Receipts as everybody is shown them who has none among them.
#[derive(Debug)]
pub(crate) struct SharedReceipts {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) events: Vec<RawEvent>,
    /// Whose they are, those included that only their readers are shown. `None` where there are so many
    /// that not all are shown.
    pub(crate) readers: Option<HashSet<OwnedUserId>>,
}

/// What somebody lacks to be told what is new from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lack {
    /// A stretch of a timeline.
    Stretch(Key),
    /// Receipts.
    Receipts(ReceiptsKey),
}

/// Weighs what is kept by what it takes.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Key, Arc<SharedTimeline>> for Bytes {
    fn weight(&self, _: &Key, told: &Arc<SharedTimeline>) -> u64 {
        u64::try_from(told.bytes().saturating_add(512)).unwrap_or(u64::MAX)
    }
}

impl Weighter<ReceiptsKey, Arc<SharedReceipts>> for Bytes {
    fn weight(&self, _: &ReceiptsKey, told: &Arc<SharedReceipts>) -> u64 {
        let events = told.events.iter().map(|event| event.get().len());
        let readers = told.readers.iter().flatten().map(|user| user.as_str().len() + 64);
        let bytes = events.chain(readers).sum::<usize>().saturating_add(512);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What was rendered, and what somebody is about to render.
#[derive(Debug)]
pub(crate) struct Shared {
    rendered: Cache<Key, Arc<SharedTimeline>, Bytes>,
    receipts: Cache<ReceiptsKey, Arc<SharedReceipts>, Bytes>,
    /// Dropped with its sender when whoever renders it is done.
    begun: Arc<Mutex<HashMap<Lack, watch::Receiver<()>>>>,
}

/// What is to be done about something that is not rendered.
pub(crate) enum Turn {
    /// Render it; others wait as long as this is held.
    Own(Rendering),
    /// Somebody else is about to; this ends when they are done.
    Others(watch::Receiver<()>),
}

/// Something that is being rendered.
pub(crate) struct Rendering {
    lack: Lack,
    begun: Arc<Mutex<HashMap<Lack, watch::Receiver<()>>>>,
    /// Ends the waiting of others when it is dropped.
    _done: watch::Sender<()>,
}

impl Drop for Rendering {
    fn drop(&mut self) {
        self.begun.lock().remove(&self.lack);
    }
}

impl Default for Shared {
    fn default() -> Self {
        let (usual, bytes) = (SHARED_TIMELINES_USUAL, SHARED_TIMELINES_BYTES_MAX);
        Self {
            rendered: Cache::with_weighter(usual, bytes, Bytes),
            receipts: Cache::with_weighter(usual, SHARED_RECEIPTS_BYTES_MAX, Bytes),
            begun: Arc::default(),
        }
    }
}

impl Shared {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<SharedTimeline>> {
        self.rendered.get(key)
    }

    pub(crate) fn put(&self, key: Key, told: Arc<SharedTimeline>) {
        self.rendered.insert(key, told);
    }

    pub(crate) fn receipts(&self, key: &ReceiptsKey) -> Option<Arc<SharedReceipts>> {
        self.receipts.get(key)
    }

    pub(crate) fn put_receipts(&self, key: ReceiptsKey, told: SharedReceipts) {
        self.receipts.insert(key, Arc::new(told));
    }

    /// Whose turn it is to render something. Of many who are woken together only one does.
    pub(crate) fn turn(&self, lack: Lack) -> Turn {
        let mut begun = self.begun.lock();
        if let Some(theirs) = begun.get(&lack) {
            return Turn::Others(theirs.clone());
        }
        let (done, waiting) = watch::channel(());
        begun.insert(lack, waiting);
        Turn::Own(Rendering { lack, begun: Arc::clone(&self.begun), _done: done })
    }
}
