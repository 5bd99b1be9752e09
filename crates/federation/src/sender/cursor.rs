//! Places in the log, one per slot.

use vestibule_storage::{Positions, SlotNo, Stamp, tables::sender::StoredCursor};

/// What can be asked of a stored cursor.
pub(super) trait Cursor {
    /// The end of what was published at these positions.
    fn end_of(positions: &Positions) -> Self;

    /// The positions it is the end of; `None` where it lies within a commit.
    fn positions(&self) -> Option<Positions>;

    /// How far it is in a slot.
    fn at(&self, slot: SlotNo) -> Stamp;

    /// Moves it forward in a slot; never back.
    fn advance(&mut self, slot: SlotNo, to: Stamp);

    /// Whether it is nowhere behind the other.
    fn covers(&self, other: &Self) -> bool;

    /// Moves it forward to wherever the other is further.
    fn advance_to(&mut self, other: &Self);
}

impl Cursor for StoredCursor {
    fn end_of(positions: &Positions) -> Self {
        Self(positions.iter().map(|(_, commit)| Stamp::end_of(commit)).collect())
    }

    fn positions(&self) -> Option<Positions> {
        let ends = self.0.iter().map(|it| (*it == Stamp::end_of(it.commit)).then_some(it.commit));
        ends.collect()
    }

    fn at(&self, slot: SlotNo) -> Stamp {
        self.0.get(usize::from(slot.0)).copied().unwrap_or_default()
    }

    fn advance(&mut self, slot: SlotNo, to: Stamp) {
        let index = usize::from(slot.0);
        if self.0.len() <= index {
            self.0.resize(index + 1, Stamp::default());
        }
        if let Some(stamp) = self.0.get_mut(index) {
            *stamp = to.max(*stamp);
        }
    }

    fn covers(&self, other: &Self) -> bool {
        (0..).map(SlotNo).zip(&other.0).all(|(slot, stamp)| self.at(slot) >= *stamp)
    }

    fn advance_to(&mut self, other: &Self) {
        for (slot, stamp) in (0..).map(SlotNo).zip(&other.0) {
            self.advance(slot, *stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(commit: u64) -> Stamp {
        Stamp { commit, index: 3 }
    }

    #[test]
    fn a_cursor_moves_forward_only() {
        let mut cursor = StoredCursor::default();
        cursor.advance(SlotNo(2), stamp(5));
        cursor.advance(SlotNo(2), stamp(4));
        assert_eq!(cursor.at(SlotNo(2)), stamp(5));
        assert_eq!(cursor.at(SlotNo(0)), Stamp::default());
    }

    #[test]
    fn a_cursor_covers_what_is_nowhere_further() {
        let one = StoredCursor(vec![stamp(1), stamp(5)]);
        let other = StoredCursor(vec![stamp(2), stamp(4)]);
        assert!(!one.covers(&other) && !other.covers(&one));
        let mut both = one.clone();
        both.advance_to(&other);
        assert!(both.covers(&one) && both.covers(&other));
    }
}
