//! What was written lately, so that assertions can be checked without reading.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use vestibule_types::limits::{WINDOW_KEYS_MAX, WINDOW_RANGES_MAX};

use super::Asserts;

/// A range delete: who made it, and from where to where.
type DeletedRange = (u64, Vec<u8>, Vec<u8>);

/// The last writes by batch number. Keys are kept as 64-bit hashes: two keys with one hash make a
/// batch run again for nothing, never commit wrongly.
#[derive(Debug, Default)]
pub(crate) struct Window {
    last: HashMap<u64, u64, BuildHasherDefault<Identity>>,
    order: VecDeque<(u64, u64)>,
    ranges: VecDeque<DeletedRange>,
    /// Writes up to this batch may have been forgotten.
    floor: u64,
}

impl Window {
    /// Whether any of the keys was written, or may have been, by a batch after `snapshot`.
    pub(crate) fn conflicts(&self, asserts: &Asserts, snapshot: u64) -> bool {
        if asserts.is_empty() {
            return false;
        }
        if snapshot < self.floor {
            return true;
        }
        asserts.iter().any(|(hash, key)| {
            self.last.get(&hash).is_some_and(|batch| *batch > snapshot)
                || self.ranges.iter().any(|(batch, start, end)| {
                    *batch > snapshot && start.as_slice() <= key && key < end.as_slice()
                })
        })
    }

    /// Whether a batch at or after `batch` wrote the key or deleted a range.
    pub(crate) fn touched_since(&self, hash: u64, batch: u64) -> bool {
        self.last.get(&hash).is_some_and(|last| *last >= batch)
            || self.ranges.back().is_some_and(|(last, ..)| *last >= batch)
    }

    pub(crate) fn wrote(&mut self, hash: u64, batch: u64) {
        self.last.insert(hash, batch);
        self.order.push_back((batch, hash));
    }

    pub(crate) fn deleted(&mut self, start: &[u8], end: &[u8], batch: u64) {
        self.ranges.push_back((batch, start.to_vec(), end.to_vec()));
    }

    /// Forgets the oldest writes beyond the bounds. Called between groups, so that within a group
    /// nothing is forgotten.
    pub(crate) fn trim(&mut self) {
        while self.order.len() > WINDOW_KEYS_MAX
            && let Some((oldest, hash)) = self.order.pop_front()
        {
            if self.last.get(&hash) == Some(&oldest) {
                self.last.remove(&hash);
            }
            self.floor = self.floor.max(oldest);
        }
        while self.ranges.len() > WINDOW_RANGES_MAX
            && let Some((oldest, ..)) = self.ranges.pop_front()
        {
            self.floor = self.floor.max(oldest);
        }
    }
}

/// The keys of the map are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = crate::stamp::hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::hash;

    fn asserting(keys: &[&[u8]]) -> Asserts {
        let mut asserts = Asserts::default();
        for key in keys {
            asserts.add(key);
        }
        asserts
    }

    #[test]
    fn only_writes_after_the_snapshot_conflict() {
        let mut window = Window::default();
        window.wrote(hash(b"a"), 5);
        assert!(window.conflicts(&asserting(&[b"x", b"a"]), 4));
        assert!(!window.conflicts(&asserting(&[b"x", b"a"]), 5));
        assert!(!window.conflicts(&asserting(&[b"b"]), 0));
    }

    #[test]
    fn a_deleted_range_conflicts_with_what_it_covers() {
        let mut window = Window::default();
        window.deleted(b"b", b"d", 5);
        assert!(window.conflicts(&asserting(&[b"cc"]), 4));
        assert!(window.conflicts(&asserting(&[b"b"]), 4));
        assert!(!window.conflicts(&asserting(&[b"d"]), 4));
        assert!(!window.conflicts(&asserting(&[b"cc"]), 5));
    }

    #[test]
    fn a_snapshot_older_than_what_is_remembered_conflicts() {
        let mut window = Window::default();
        for batch in 1..=WINDOW_KEYS_MAX as u64 {
            window.wrote(hash(&batch.to_be_bytes()), batch);
        }
        window.trim();
        assert!(!window.conflicts(&asserting(&[b"x"]), 0));
        window.wrote(hash(b"one more"), WINDOW_KEYS_MAX as u64 + 1);
        window.trim();
        assert!(window.conflicts(&asserting(&[b"x"]), 0));
        assert!(!window.conflicts(&asserting(&[b"x"]), 1));
        assert!(!window.conflicts(&asserting(&[]), 0), "nothing asserted, nothing to lose");
    }

    #[test]
    fn forgetting_an_old_write_keeps_a_newer_one_of_the_same_key() {
        let mut window = Window::default();
        window.wrote(hash(b"a"), 1);
        for batch in 2..=WINDOW_KEYS_MAX as u64 {
            window.wrote(hash(&batch.to_be_bytes()), batch);
        }
        let newest = WINDOW_KEYS_MAX as u64 + 1;
        window.wrote(hash(b"a"), newest);
        window.trim();
        assert!(window.conflicts(&asserting(&[b"a"]), newest - 1));
    }

    #[test]
    fn a_range_that_is_forgotten_makes_older_snapshots_conflict() {
        let mut window = Window::default();
        for batch in 1..=WINDOW_RANGES_MAX as u64 + 1 {
            window.deleted(b"b", b"c", batch);
        }
        window.trim();
        assert!(window.conflicts(&asserting(&[b"x"]), 0));
        assert!(!window.conflicts(&asserting(&[b"x"]), 1));
    }
}
