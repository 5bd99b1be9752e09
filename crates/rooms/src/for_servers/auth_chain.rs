//! Auth chains, walked by number.

use vestibule_storage::{
    Read, StorageError,
    tables::room::{EVENT_BY_NO, StoredEvent},
};
use vestibule_types::{EventNo, limits::EVENTS_READ_AT_ONCE};

use crate::RoomView;

/// A set of event numbers: one bit for each up to the greatest.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<u64>);

impl Numbers {
    /// Adds a number; says whether it was not in yet.
    pub(super) fn insert(&mut self, no: EventNo) -> bool {
        let Ok(word) = usize::try_from(no.0 / 64) else { return false };
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let Some(bits) = self.0.get_mut(word) else { return false };
        let bit = 1_u64 << (no.0 % 64);
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }

    /// The numbers, ascending.
    fn iter(&self) -> impl Iterator<Item = EventNo> + '_ {
        (0_u64..).zip(&self.0).flat_map(|(word, bits)| {
            let set = (0..64_u64).filter(move |bit| bits & (1 << bit) != 0);
            set.map(move |bit| EventNo(word * 64 + bit))
        })
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Everything that authorizes these events, and what authorizes that, and so on; the events
    /// themselves only where they authorize another of them. Ascending, so each comes after its own
    /// auth events. Costs one row per event of the chain and one bit per event of the room.
    pub fn auth_chain(
        &self,
        of: impl IntoIterator<Item = EventNo>,
    ) -> Result<Vec<EventNo>, StorageError> {
        let (mut chain, mut looked_at) = (Numbers::default(), Numbers::default());
        let mut waiting: Vec<EventNo> = of.into_iter().filter(|no| looked_at.insert(*no)).collect();
        while !waiting.is_empty() {
            let some = waiting.split_off(waiting.len().saturating_sub(EVENTS_READ_AT_ONCE));
            for row in self.rows(&some)? {
                for no in row.auth {
                    chain.insert(no);
                    if looked_at.insert(no) {
                        waiting.push(no);
                    }
                }
            }
        }
        Ok(chain.iter().collect())
    }

    /// Stored events by number, in the order of the numbers, read past the cache: a whole chain or
    /// state would only push out what is read often.
    pub(super) fn rows(&self, nos: &[EventNo]) -> Result<Vec<StoredEvent>, StorageError> {
        let keys = nos.iter().map(|no| (self.room.no, *no));
        let rows = EVENT_BY_NO.multi_get(&self.reader, keys)?;
        let whole: Option<Vec<StoredEvent>> = rows.into_iter().collect();
        whole.ok_or_else(|| StorageError::corrupt("event_by_no", "an event is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_once_and_in_order() {
        let mut numbers = Numbers::default();
        for no in [130, 0, 63, 64, 130, 5] {
            numbers.insert(EventNo(no));
        }
        assert!(!numbers.insert(EventNo(64)) && numbers.insert(EventNo(65)));
        let found: Vec<u64> = numbers.iter().map(|no| no.0).collect();
        assert_eq!(found, [0, 5, 63, 64, 65, 130]);
    }
}
