//! All of a state.

use std::collections::BTreeMap;

use vestibule_storage::{
    Read, Scan, StorageError,
    tables::room::{STATE_BRANCH, STATE_ENTRY, StateAt},
};
use vestibule_types::{EventNo, RoomNo};

use super::{BRANCH_DEPTH_MAX, StateKey, inverted};

/// Every key that leads to an event at a moment; of one event type when `event_type` is given.
pub(crate) fn full(
    reader: &impl Read,
    room: RoomNo,
    at: StateAt,
    event_type: Option<&str>,
) -> Result<BTreeMap<StateKey, EventNo>, StorageError> {
    newest(reader, room, at, |branch| match event_type {
        Some(event_type) => vec![Scan::prefix((room, branch, event_type))],
        None => vec![Scan::prefix((room, branch))],
    })
}

/// Every key that leads to an event at a moment, but those of one event type. Does not cost what
/// is left out.
pub(crate) fn full_without(
    reader: &impl Read,
    room: RoomNo,
    at: StateAt,
    event_type: &str,
) -> Result<BTreeMap<StateKey, EventNo>, StorageError> {
    newest(reader, room, at, |branch| {
        let left_out = (room, branch, event_type);
        let before = Scan::prefix((room, branch)).before(left_out);
        vec![before, Scan::prefix((room, branch)).after(left_out)]
    })
}

/// A row's key: room, branch, event type, state key, inverted version.
type EntryKey = (RoomNo, u32, String, String, u64);

/// What the keys in some stretches of each branch lead to.
fn newest(
    reader: &impl Read,
    room: RoomNo,
    at: StateAt,
    stretches: impl Fn(u32) -> Vec<Scan<EntryKey>>,
) -> Result<BTreeMap<StateKey, EventNo>, StorageError> {
    let mut seen: BTreeMap<StateKey, Option<EventNo>> = BTreeMap::new();
    let mut at = at;
    for _ in 0..=BRANCH_DEPTH_MAX {
        let oldest = inverted(at.version);
        for stretch in stretches(at.branch) {
            for ((_, _, event_type, state_key, version), entry) in
                STATE_ENTRY.scan_with(reader, stretch)?
            {
                // Newest first: the first row at or before our version counts.
                if version >= oldest {
                    seen.entry((event_type, state_key)).or_insert(entry.0);
                }
            }
        }
        let branch = STATE_BRANCH.get(reader, (room, at.branch))?.unwrap_or_default();
        match branch.parent {
            Some(parent) => at = parent,
            None => break,
        }
    }
    Ok(seen.into_iter().filter_map(|(key, event)| Some((key, event?))).collect())
}
