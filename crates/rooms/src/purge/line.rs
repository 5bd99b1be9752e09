//! How far the purges of a room came, and which events they took.

use vestibule_events::Pdu;
use vestibule_storage::{
    Read, StorageError,
    tables::history::{PURGED, StoredPurgeLine, StoredPurges},
};
use vestibule_types::{EventNo, RoomNo, limits::PURGE_LINES_MAX};

use crate::{LoggedEvent, RoomView};

/// What was purged of one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purged {
    row: StoredPurges,
}

impl Purged {
    pub(crate) fn load(reader: &impl Read, room: RoomNo) -> Result<Self, StorageError> {
        let row = PURGED.get(reader, (room,))?.map(|row| row.value);
        Ok(Self { row: row.unwrap_or_default() })
    }

    /// Whether a purge took the content of an event.
    pub(crate) fn covers(&self, no: EventNo, pdu: &Pdu) -> bool {
        let passed = |line: &StoredPurgeLine| no.0 < line.below && goes(pdu, line.before_ms);
        self.row.lines.iter().any(passed)
    }

    /// The row after a purge came further.
    pub(super) fn reached(mut self, before_ms: u64, below: u64) -> StoredPurges {
        let line = StoredPurgeLine { before_ms, below };
        let covers = |one: &StoredPurgeLine, other: &StoredPurgeLine| {
            one.before_ms >= other.before_ms && one.below >= other.below
        };
        if !self.row.lines.iter().any(|known| covers(known, &line)) {
            self.row.lines.retain(|known| !covers(&line, known));
            self.row.lines.push(line);
        }
        let surplus = self.row.lines.len().saturating_sub(PURGE_LINES_MAX);
        self.row.lines.drain(..surplus);
        self.row
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Whether the content of an event was purged.
    pub fn is_purged(&self, event: &LoggedEvent) -> Result<bool, StorageError> {
        Ok(Purged::load(&self.reader, self.room.no)?.covers(event.no, &event.pdu))
    }

    /// The commit of the room's slot in which a purge last came further.
    pub fn purged_at(&self) -> Result<Option<u64>, StorageError> {
        Ok(PURGED.get(&self.reader, (self.room.no,))?.map(|row| row.stamp.commit))
    }
}

/// Whether a purge of what was sent before a moment takes this event: state and redactions stay.
pub(super) fn goes(pdu: &Pdu, before_ms: u64) -> bool {
    pdu.state_key().is_none()
        && pdu.redacts().is_none()
        && pdu.kind() != "m.room.redaction"
        && u64::from(pdu.origin_server_ts().get()) < before_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: &[(u64, u64)]) -> Vec<StoredPurgeLine> {
        of.iter()
            .map(|(before_ms, below)| StoredPurgeLine { before_ms: *before_ms, below: *below })
            .collect()
    }

    fn after(steps: &[(u64, u64)]) -> Vec<StoredPurgeLine> {
        let mut purged = Purged::default();
        for (before_ms, below) in steps {
            purged = Purged { row: purged.reached(*before_ms, *below) };
        }
        purged.row.lines
    }

    #[test]
    fn a_purge_that_goes_on_is_one_line() {
        assert_eq!(after(&[(10, 200), (10, 400), (10, 450)]), lines(&[(10, 450)]));
    }

    #[test]
    fn a_later_purge_takes_the_place_of_an_earlier_one_when_it_came_as_far() {
        assert_eq!(after(&[(10, 450), (20, 200)]), lines(&[(10, 450), (20, 200)]));
        assert_eq!(after(&[(10, 450), (20, 200), (20, 450)]), lines(&[(20, 450)]));
    }

    #[test]
    fn a_purge_of_less_changes_nothing_where_more_was_purged() {
        assert_eq!(after(&[(20, 450), (10, 200)]), lines(&[(20, 450)]));
        assert_eq!(after(&[(20, 450), (10, 600)]), lines(&[(20, 450), (10, 600)]));
    }
}
