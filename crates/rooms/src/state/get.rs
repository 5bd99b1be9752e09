//! Reading one key.

use vestibule_storage::{
    Read, Scan, StorageError,
    tables::room::{STATE_BRANCH, STATE_ENTRY, StateAt, StoredStateEntry},
};
use vestibule_types::{EventNo, RoomNo};

use super::{BRANCH_DEPTH_MAX, inverted};

/// The event a key leads to at a moment. One seek per branch on the way to the root.
pub(crate) fn get(
    reader: &impl Read,
    room: RoomNo,
    at: StateAt,
    event_type: &str,
    state_key: &str,
) -> Result<Option<EventNo>, StorageError> {
    let mut at = at;
    for _ in 0..=BRANCH_DEPTH_MAX {
        if let Some(found) = on_branch(reader, room, at, (event_type, state_key))? {
            return Ok(found.0);
        }
        let branch = STATE_BRANCH.get(reader, (room, at.branch))?.unwrap_or_default();
        match branch.parent {
            Some(parent) => at = parent,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// What this branch alone says about a key: nothing, that it was removed, or an event.
fn on_branch(
    reader: &impl Read,
    room: RoomNo,
    at: StateAt,
    (event_type, state_key): (&str, &str),
) -> Result<Option<StoredStateEntry>, StorageError> {
    let newest_first = Scan::prefix((room, at.branch, event_type, state_key))
        .from((room, at.branch, event_type, state_key, inverted(at.version)))
        .limit(1);
    let found = STATE_ENTRY.scan_with(reader, newest_first)?;
    Ok(found.into_iter().next().map(|(_, entry)| entry))
}
