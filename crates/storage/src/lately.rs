//! What was published lately, in memory: the last lines of the log, and who follows it.
//!
//! Every line is in the store as well. Followers look here first, because most of what is committed
//! concerns none of them, or is told in its line alone: that takes no task, no thread and no read.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;
use vestibule_types::limits::{
    FOLLOWER_PASSED_MAX, LINES_REMEMBERED_BYTES_MAX, LINES_REMEMBERED_MAX,
};

use crate::{Positions, SlotNo, Stamp, tables::room::StoredNews};

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The slot it was committed in.
    pub slot: SlotNo,
    /// Its place there.
    pub stamp: Stamp,
    /// What it says.
    pub news: Arc<StoredNews>,
    /// Whether another server came into a room or left one with the same batch.
    pub servers_moved: bool,
    /// Bytes it takes in the store.
    pub(crate) bytes: usize,
}

impl LogLine {
    /// A line that came without another server.
    #[must_use]
    pub fn new(slot: SlotNo, stamp: Stamp, news: StoredNews) -> Self {
        Self { slot, stamp, news: Arc::new(news), servers_moved: false, bytes: 0 }
    }
}

/// A stretch of the log.
#[derive(Clone, Debug)]
pub struct Lately {
    /// Up to where it goes.
    pub to: Positions,
    /// Its lines, in each slot in order.
    pub lines: Vec<LogLine>,
}

type Wants = Box<dyn Fn(&LogLine) -> bool + Send + Sync>;

struct Follower {
    wants: Wants,
    bell: watch::Sender<()>,
    /// Groups that were published since it was told.
    passed: u32,
}

#[derive(Debug)]
struct Remembered {
    to: Positions,
    /// Lines at or before this are not remembered.
    floor: Positions,
    lines: VecDeque<LogLine>,
    bytes: usize,
}

#[derive(Default)]
struct Followers {
    all: Vec<Follower>,
    closed: bool,
}

/// The last lines of the log, and who follows it.
pub(crate) struct Board {
    remembered: Mutex<Remembered>,
    followers: Mutex<Followers>,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

impl Board {
    /// A board that remembers nothing of what was published before.
    pub(crate) fn new(at: &Positions) -> Self {
        let (to, floor) = (at.clone(), at.clone());
        let remembered = Remembered { to, floor, lines: VecDeque::new(), bytes: 0 };
        Self { remembered: Mutex::new(remembered), followers: Mutex::default() }
    }

    /// The lines after a moment; `None` when that is further back than is remembered.
    pub(crate) fn since(&self, from: &Positions) -> Option<Lately> {
        let it = self.remembered.lock();
        if it.floor.iter().any(|(slot, commit)| from.get(slot) < commit) {
            return None;
        }
        let later = |line: &&LogLine| line.stamp.commit > from.get(line.slot);
        // With one slot, lines lie in the order of their commits.
        let first = match it.to.slots() {
            1 => it.lines.partition_point(|line| !later(&line)),
            _ => 0,
        };
        let lines = it.lines.range(first..).filter(later).cloned().collect();
        Some(Lately { to: it.to.clone(), lines })
    }

    /// Remembers what a group brought.
    pub(crate) fn put(&self, to: &Positions, lines: &[LogLine]) {
        let mut it = self.remembered.lock();
        let it = &mut *it;
        it.to.clone_from(to);
        for line in lines {
            it.bytes = it.bytes.saturating_add(line.bytes);
            it.lines.push_back(line.clone());
        }
        while it.lines.len() > LINES_REMEMBERED_MAX || it.bytes > LINES_REMEMBERED_BYTES_MAX {
            let Some(line) = it.lines.pop_front() else { break };
            it.bytes = it.bytes.saturating_sub(line.bytes);
            it.floor.set(line.slot, line.stamp.commit.max(it.floor.get(line.slot)));
        }
    }

    /// Tells the followers of what a group brought, after it was put here and published: whoever
    /// changes what it wants and looks at the published positions afterwards misses nothing.
    pub(crate) fn tell(&self, lines: &[LogLine]) {
        self.followers.lock().all.retain_mut(|follower| {
            follower.passed = follower.passed.saturating_add(1);
            let wanted =
                follower.passed >= FOLLOWER_PASSED_MAX || lines.iter().any(&follower.wants);
            if wanted {
                follower.passed = 0;
                follower.bell.send_replace(());
            }
            follower.bell.receiver_count() > 0
        });
    }

    pub(crate) fn follow(&self, wants: Wants) -> watch::Receiver<()> {
        let (bell, told) = watch::channel(());
        let mut followers = self.followers.lock();
        if !followers.closed {
            followers.all.push(Follower { wants, bell, passed: 0 });
        }
        told
    }

    /// Nothing is published any more: whoever follows hears it.
    pub(crate) fn close(&self) {
        let mut followers = self.followers.lock();
        followers.closed = true;
        let all = std::mem::take(&mut followers.all);
        drop(followers);
        drop(all);
    }
}

#[cfg(test)]
mod tests {
    use vestibule_types::RoomNo;

    use super::*;

    const SLOT: SlotNo = SlotNo(0);

    fn line(commit: u64, bytes: usize) -> LogLine {
        let news = StoredNews::Receipt { room: RoomNo(commit) };
        LogLine { bytes, ..LogLine::new(SLOT, Stamp { commit, index: 0 }, news) }
    }

    fn commits(lately: Option<Lately>) -> Option<Vec<u64>> {
        Some(lately?.lines.iter().map(|line| line.stamp.commit).collect())
    }

    #[test]
    fn what_is_remembered_is_bounded_in_lines_and_bytes_and_never_has_a_hole() {
        let board = Board::new(&vec![4].into());
        assert_eq!(commits(board.since(&vec![3].into())), None);
        board.put(&vec![5].into(), &[line(5, 1)]);
        board.put(&vec![6].into(), &[]);
        board.put(&vec![7].into(), &[line(7, 1)]);
        assert_eq!(commits(board.since(&vec![4].into())), Some(vec![5, 7]));
        assert_eq!(commits(board.since(&vec![5].into())), Some(vec![7]));
        assert_eq!(board.since(&vec![7].into()).map(|it| it.to), Some(vec![7].into()));
        let full: Vec<LogLine> =
            (8..).take(LINES_REMEMBERED_MAX).map(|commit| line(commit, 1)).collect();
        board.put(&vec![9_999].into(), &full);
        assert_eq!(commits(board.since(&vec![6].into())), None);
        let all = commits(board.since(&vec![7].into())).unwrap();
        assert_eq!(all.len(), LINES_REMEMBERED_MAX);
        board.put(&vec![10_000].into(), &[line(10_000, LINES_REMEMBERED_BYTES_MAX)]);
        assert_eq!(commits(board.since(&vec![9_998].into())), Some(vec![10_000]));
        board.put(&vec![10_001].into(), &[line(10_001, LINES_REMEMBERED_BYTES_MAX + 1)]);
        assert_eq!(commits(board.since(&vec![10_000].into())), None);
        assert_eq!(commits(board.since(&vec![10_001].into())), Some(vec![]));
    }

    #[test]
    fn lines_of_several_slots_are_found_by_the_place_in_each() {
        let board = Board::new(&vec![0, 0].into());
        let other = LogLine { slot: SlotNo(1), ..line(9, 1) };
        board.put(&vec![1, 9].into(), &[line(1, 1), other]);
        assert_eq!(commits(board.since(&vec![0, 9].into())), Some(vec![1]));
        assert_eq!(commits(board.since(&vec![1, 8].into())), Some(vec![9]));
    }

    #[test]
    fn a_follower_is_told_of_what_it_wants_and_now_and_then_that_time_goes_on() {
        let board = Board::new(&vec![0].into());
        let mut told = board.follow(Box::new(|line| line.stamp.commit == 2));
        let heard = |told: &mut watch::Receiver<()>| {
            let heard = told.has_changed().unwrap();
            told.mark_unchanged();
            heard
        };
        board.tell(&[line(1, 1)]);
        assert!(!heard(&mut told));
        board.tell(&[line(1, 1), line(2, 1)]);
        assert!(heard(&mut told));
        for _ in 1..FOLLOWER_PASSED_MAX {
            board.tell(&[]);
        }
        assert!(!heard(&mut told));
        board.tell(&[]);
        assert!(heard(&mut told));
        board.close();
        assert!(told.has_changed().is_err());
        assert!(board.follow(Box::new(|_| true)).has_changed().is_err());
    }
}
