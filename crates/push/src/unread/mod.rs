//! How much a user has not read, worked out when it is asked for.
//!
//! Only the newest events of a room count, up to a bound. What was worked out is kept, so that the next
//! question costs what is new since, and what is left of a thread in which the user read on. Events stay
//! counted as the rules were when they were. It is dropped when the user changes whom they ignore, and
//! when something unread is redacted.

mod count;
mod fresh;
mod marks;
mod thread;
mod total;

pub use self::fresh::{Fresh, Standing};
pub(crate) use self::{count::damaged, marks::Marks, thread::thread_of};

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use quick_cache::{Equivalent, sync::Cache};
use ruma::{OwnedUserId, UserId, push::Action};
use serde::Serialize;
use vestibule_rooms::{RoomView, Viewer};
use vestibule_storage::{Read, Stamp, Stamped, StorageError, tables::room::StoredMember};
use vestibule_types::{
    RoomNo,
    limits::{UNREAD_COUNTS_MAX, UNREAD_LOOKS_MAX},
};

use crate::rules::{Own, OwnCache, highlights, notifies};

/// The thread of what is in no thread.
pub(crate) const MAIN: &str = "main";

/// The side of the timeline on which rooms grow.
pub(crate) const LIVE: u8 = 1;

/// How much is unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnreadCounts {
    /// What one is told of.
    pub notification_count: u64,
    /// What one is told of with emphasis.
    pub highlight_count: u64,
}

/// What one user has not read in one room.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Up to which commit of the room's slot it was counted.
    at: u64,
    /// The rules it was counted by.
    said: [Stamp; 2],
    /// Since when the user has been in the room as they are.
    member: Stamp,
    /// What the user is called in the room, once a rule asked for it.
    called: Option<Called>,
    /// It was counted among few events, because many rooms were counted at once.
    brief: bool,
    /// What is unread, by thread. Threads without anything are not in it.
    by_thread: BTreeMap<String, UnreadCounts>,
}

/// What somebody is called, if anything.
#[derive(Clone, Debug)]
struct Called(Option<Box<str>>);

impl Called {
    fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Tally {
    /// Counts an event of a thread for which the rules want this.
    fn add(&mut self, thread: &str, actions: &[Action]) {
        if !notifies(actions) {
            return;
        }
        if !self.by_thread.contains_key(thread) {
            self.by_thread.insert(thread.to_owned(), UnreadCounts::default());
        }
        if let Some(unread) = self.by_thread.get_mut(thread) {
            unread.notification_count += 1;
            unread.highlight_count += u64::from(highlights(actions));
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> UnreadCounts {
        self.by_thread.values().fold(UnreadCounts::default(), |sum, it| UnreadCounts {
            notification_count: sum.notification_count + it.notification_count,
            highlight_count: sum.highlight_count + it.highlight_count,
        })
    }

    /// The main timeline by itself, and each thread by its root.
    #[must_use]
    pub fn by_thread(&self) -> (UnreadCounts, BTreeMap<String, UnreadCounts>) {
        let mut threads = self.by_thread.clone();
        (threads.remove(MAIN).unwrap_or_default(), threads)
    }
}

/// Who asks what they have not read in a room.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Their membership: they are in the room.
    pub member: &'a Stamped<StoredMember>,
    /// The last commit of the room's slot that the reader shows.
    pub at: u64,
    /// How much may still be looked at.
    pub looks: &'a Looks,
}

/// How many events may still be looked at to count rooms of which nothing is known. Rooms that are asked
/// about after that are counted among their newest events alone, and in full when they are asked about
/// again.
#[derive(Debug)]
pub struct Looks(AtomicUsize);

impl Default for Looks {
    fn default() -> Self {
        Self(AtomicUsize::new(UNREAD_LOOKS_MAX))
    }
}

impl Looks {
    /// Whether there is anything left.
    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn spend(&self, events: usize) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(events), Ordering::Relaxed);
    }
}

/// What users have not read. Cloning shares what was worked out; all of it can be worked out again.
#[derive(Clone)]
pub struct Unread(Arc<Inner>);

struct Inner {
    tallies: Cache<(OwnedUserId, RoomNo), Arc<Tally>>,
    own: OwnCache,
}

/// Whose tally, of which room.
#[derive(Hash)]
struct TallyOf<'a> {
    user: &'a UserId,
    room: RoomNo,
}

impl Equivalent<(OwnedUserId, RoomNo)> for TallyOf<'_> {
    fn equivalent(&self, (user, room): &(OwnedUserId, RoomNo)) -> bool {
        self.room == *room && self.user == user
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unread").finish_non_exhaustive()
    }
}

impl Default for Unread {
    fn default() -> Self {
        Self(Arc::new(Inner { tallies: Cache::new(UNREAD_COUNTS_MAX), own: OwnCache::default() }))
    }
}

impl Unread {
    /// What a user has not read in a room, as a reader shows it.
    pub fn in_room<R: Read>(
        &self,
        view: &RoomView<'_, R>,
        viewer: &mut Viewer,
        asked: Asked<'_>,
    ) -> Result<Arc<Tally>, StorageError> {
        let own = self.own(&view.reader, asked.user)?;
        let known = self.known(view.room.no, asked, &own);
        let tally = Arc::new(count::count(view, viewer, (asked, &own), known.as_deref())?);
        self.0.tallies.insert((asked.user.to_owned(), view.room.no), Arc::clone(&tally));
        Ok(tally)
    }

    /// What a user said about being told, as a reader shows it.
    pub fn own(&self, reader: &impl Read, user: &UserId) -> Result<Arc<Own>, StorageError> {
        self.0.own.get(reader, user)
    }

    /// What was worked out before, and not on a later snapshot.
    fn known(&self, room: RoomNo, asked: Asked<'_>, own: &Own) -> Option<Arc<Tally>> {
        let known = self.0.tallies.get(&TallyOf { user: asked.user, room })?;
        // What was counted by other rules stays counted, but who is ignored now said nothing.
        let whole = !known.brief || !asked.looks.any();
        let fits = whole && known.said[1] == own.said[1] && known.member == asked.member.stamp;
        (fits && known.at <= asked.at).then_some(known)
    }
}
