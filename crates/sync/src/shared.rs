//! Stretches of timelines that were rendered already, for the other members of the room.

use std::sync::Arc;

use moka::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use vestibule_push::Fresh;
use vestibule_types::{EventNo, RoomNo, limits::SHARED_TIMELINES_BYTES_MAX};

use crate::{Timeline, pass::TimelineEvents};

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

/// Rendered stretches.
#[derive(Debug)]
pub(crate) struct Shared(Cache<Key, Arc<SharedTimeline>>);

impl Default for Shared {
    fn default() -> Self {
        let weigh = |_: &Key, told: &Arc<SharedTimeline>| {
            u32::try_from(told.bytes().saturating_add(512)).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weigh).max_capacity(SHARED_TIMELINES_BYTES_MAX).build())
    }
}

impl Shared {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<SharedTimeline>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: Key, told: Arc<SharedTimeline>) {
        self.0.insert(key, told);
    }
}
