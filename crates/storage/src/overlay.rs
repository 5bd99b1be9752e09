//! What a write has staged so far, laid over the snapshot it reads.

use std::{
    collections::{BTreeMap, btree_map::Range},
    ops::{Bound, ControlFlow},
};

use bytes::Bytes;

use crate::{ScanRange, Visit, key::StampOffsets};

/// What a batch does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put { value: Vec<u8>, stamps: StampOffsets },
    Delete,
    Add(i64),
}

/// A staged write and where its key waits for stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) write: Write,
    pub(crate) key_stamps: StampOffsets,
}

/// Undoes one change of the overlay.
#[derive(Debug)]
enum Undo {
    Key(Vec<u8>, Option<Staged>),
    Range,
}

/// What the overlay says about a key.
pub(crate) enum Known {
    /// It holds this row, or none.
    Row(Option<Bytes>),
    /// The row below it, with this added.
    BelowPlus(i64),
    /// Nothing.
    Below,
}

impl Known {
    pub(crate) fn is_row(&self) -> bool {
        matches!(self, Self::Row(_))
    }

    /// The row as the batch sees it, given the one below.
    pub(crate) fn over(self, below: Option<Bytes>) -> Option<Bytes> {
        match self {
            Self::Row(row) => row,
            Self::BelowPlus(delta) => Some(added(below.as_deref(), delta)),
            Self::Below => below,
        }
    }
}

/// Staged writes. Range deletes act first, point writes after them: staging a range delete drops
/// the point writes it covers, so this is the order in which they were staged.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) points: BTreeMap<Vec<u8>, Staged>,
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
    undo: Vec<Undo>,
    /// Whether a savepoint exists; without one nothing needs to be undone.
    undoable: bool,
}

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    /// How many changes can be undone; hand it to [`Overlay::undo_to`].
    pub(crate) fn mark(&mut self) -> usize {
        self.undoable = true;
        self.undo.len()
    }

    /// Whether anything was staged since a mark and not undone.
    pub(crate) fn is_changed_since(&self, mark: usize) -> bool {
        self.undo.len() > mark
    }

    /// The keys and values staged since a mark.
    pub(crate) fn changed_since(&self, mark: usize) -> impl Iterator<Item = &[u8]> {
        let keys = self.undo.iter().skip(mark).filter_map(|undo| match undo {
            Undo::Key(key, _) => Some(key),
            Undo::Range => None,
        });
        keys.flat_map(|key| {
            let value = self.points.get(key).and_then(|staged| match &staged.write {
                Write::Put { value, .. } => Some(value.as_slice()),
                Write::Delete | Write::Add(_) => None,
            });
            [Some(key.as_slice()), value].into_iter().flatten()
        })
    }

    pub(crate) fn undo_to(&mut self, mark: usize) {
        while self.undo.len() > mark {
            match self.undo.pop() {
                Some(Undo::Key(key, Some(staged))) => {
                    self.points.insert(key, staged);
                }
                Some(Undo::Key(key, None)) => {
                    self.points.remove(&key);
                }
                Some(Undo::Range) => {
                    self.ranges.pop();
                }
                None => {}
            }
        }
    }

    pub(crate) fn stage(&mut self, key: Vec<u8>, staged: Staged) {
        if self.undoable {
            let before = self.points.insert(key.clone(), staged);
            self.undo.push(Undo::Key(key, before));
        } else {
            self.points.insert(key, staged);
        }
    }

    /// Stages an addition to a counter, on top of what this batch did to it already.
    pub(crate) fn add(&mut self, key: Vec<u8>, key_stamps: StampOffsets, delta: i64) {
        let fixed = |before: Option<&[u8]>| Write::Put {
            value: added(before, delta).to_vec(),
            stamps: StampOffsets::new(),
        };
        let write = match self.points.get(&key).map(|staged| &staged.write) {
            Some(Write::Put { value, .. }) => fixed(Some(value)),
            Some(Write::Delete) => fixed(None),
            Some(Write::Add(before)) => Write::Add(before.saturating_add(delta)),
            None if self.covers(&key) => fixed(None),
            None => Write::Add(delta),
        };
        self.stage(key, Staged { write, key_stamps });
    }

    /// Forgets a staged write, as if it had never been.
    pub(crate) fn unstage(&mut self, key: Vec<u8>) {
        if let Some(before) = self.points.remove(&key)
            && self.undoable
        {
            self.undo.push(Undo::Key(key, Some(before)));
        }
    }

    pub(crate) fn stage_range(&mut self, start: Vec<u8>, end: Vec<u8>) {
        let covered: Vec<Vec<u8>> =
            self.points.range(start.clone()..end.clone()).map(|(key, _)| key.clone()).collect();
        for key in covered {
            self.unstage(key);
        }
        self.ranges.push((start, end));
        if self.undoable {
            self.undo.push(Undo::Range);
        }
    }

    /// Whether a staged range delete covers the key.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.ranges.iter().any(|(start, end)| start.as_slice() <= key && key < end.as_slice())
    }

    pub(crate) fn known(&self, key: &[u8]) -> Known {
        match self.points.get(key).map(|staged| &staged.write) {
            Some(Write::Put { value, .. }) => Known::Row(Some(Bytes::copy_from_slice(value))),
            Some(Write::Delete) => Known::Row(None),
            // Never covered: a range delete drops additions, and what is added after it is a put.
            Some(Write::Add(delta)) => Known::BelowPlus(*delta),
            None if self.covers(key) => Known::Row(None),
            None => Known::Below,
        }
    }

    /// A walk over the staged writes of a stretch, in its direction.
    pub(crate) fn walk<'a>(&'a self, range: &ScanRange) -> Walk<'a> {
        let end = match &range.end {
            Some(end) => Bound::Excluded(end.as_slice()),
            None => Bound::Unbounded,
        };
        let empty = range.is_empty();
        let bounds = (Bound::Included(range.start.as_slice()), end);
        let points = (!empty).then(|| self.points.range::<[u8], _>(bounds));
        let mut walk = Walk { overlay: self, points, next: None, reverse: range.reverse };
        walk.advance();
        walk
    }
}

/// The counter a row holds, with something added.
pub(crate) fn added(row: Option<&[u8]>, delta: i64) -> Bytes {
    let number = row.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    Bytes::copy_from_slice(&number.saturating_add_signed(delta).to_be_bytes())
}

/// Merges staged writes into rows that come from below in the same order.
pub(crate) struct Walk<'a> {
    overlay: &'a Overlay,
    points: Option<Range<'a, Vec<u8>, Staged>>,
    next: Option<(&'a [u8], &'a Write)>,
    reverse: bool,
}

impl Walk<'_> {
    fn advance(&mut self) {
        let next = match (&mut self.points, self.reverse) {
            (None, _) => None,
            (Some(points), false) => points.next(),
            (Some(points), true) => points.next_back(),
        };
        self.next = next.map(|(key, staged)| (key.as_slice(), &staged.write));
    }

    fn is_before(&self, one: &[u8], other: &[u8]) -> bool {
        if self.reverse { one > other } else { one < other }
    }

    /// Shows what the row from below turns into, after the staged rows that come before it.
    pub(crate) fn below(
        &mut self,
        key: &[u8],
        value: &[u8],
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        while let Some((staged, write)) = self.next
            && self.is_before(staged, key)
        {
            self.advance();
            show(staged, write, None, visit)?;
        }
        let covered = self.overlay.covers(key);
        match self.next {
            Some((staged, write)) if staged == key => {
                self.advance();
                show(staged, write, (!covered).then_some(value), visit)
            }
            _ if covered => ControlFlow::Continue(()),
            _ => visit(key, value),
        }
    }

    /// Shows the staged rows that come after everything from below.
    pub(crate) fn rest(&mut self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        while let Some((staged, write)) = self.next {
            self.advance();
            show(staged, write, None, visit)?;
        }
        ControlFlow::Continue(())
    }
}

fn show(key: &[u8], write: &Write, below: Option<&[u8]>, visit: &mut Visit<'_>) -> ControlFlow<()> {
    match write {
        Write::Put { value, .. } => visit(key, value),
        Write::Delete => ControlFlow::Continue(()),
        Write::Add(delta) => visit(key, &added(below, *delta)),
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
