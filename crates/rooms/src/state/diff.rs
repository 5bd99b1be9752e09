//! What differs between two states.

use std::collections::{BTreeMap, BTreeSet};

use vestibule_storage::{
    Read, Scan, StorageError,
    tables::room::{STATE_BRANCH, STATE_CHANGE, StateAt},
};
use vestibule_types::{EventNo, RoomNo};

use super::{EMPTY, StateChange, StateKey, get};

/// The keys that lead elsewhere in `to` than in `from`, in key order. Costs what changed between
/// the two and the moment they last had in common.
pub(crate) fn diff(
    reader: &impl Read,
    room: RoomNo,
    from: StateAt,
    to: StateAt,
) -> Result<Vec<StateChange>, StorageError> {
    if from == to {
        return Ok(Vec::new());
    }
    if from.branch == to.branch && from.version < to.version {
        return forward(reader, room, from, to.version);
    }

    let common = common_ancestor(reader, room, from, to)?;
    let mut keys = BTreeSet::new();
    keys_since(reader, room, common, from, &mut keys)?;
    keys_since(reader, room, common, to, &mut keys)?;

    let mut changes = Vec::new();
    for key in keys {
        let old = get(reader, room, from, &key.0, &key.1)?;
        let new = get(reader, room, to, &key.0, &key.1)?;
        if old != new {
            changes.push(StateChange { key, new, old });
        }
    }
    Ok(changes)
}

/// The change log of one branch says it all: the first old value and the last new one.
fn forward(
    reader: &impl Read,
    room: RoomNo,
    from: StateAt,
    to_version: u64,
) -> Result<Vec<StateChange>, StorageError> {
    let mut net: BTreeMap<StateKey, (Option<EventNo>, Option<EventNo>)> = BTreeMap::new();
    let log = Scan::prefix((room, from.branch))
        .from((room, from.branch, from.version + 1))
        .before((room, from.branch, to_version + 1))
        .limit(usize::MAX);
    for (_, change) in STATE_CHANGE.scan_with(reader, log)? {
        net.entry((change.event_type, change.state_key))
            .and_modify(|(_, new)| *new = change.new)
            .or_insert((change.old, change.new));
    }
    Ok(net
        .into_iter()
        .filter(|(_, (old, new))| old != new)
        .map(|(key, (old, new))| StateChange { key, new, old })
        .collect())
}

/// Every moment on the way from `at` to the root: where each branch was left.
fn way_up(reader: &impl Read, room: RoomNo, at: StateAt) -> Result<Vec<StateAt>, StorageError> {
    let mut way = vec![at];
    let mut here = at;
    while let Some(parent) =
        STATE_BRANCH.get(reader, (room, here.branch))?.unwrap_or_default().parent
    {
        way.push(parent);
        here = parent;
    }
    Ok(way)
}

fn common_ancestor(
    reader: &impl Read,
    room: RoomNo,
    one: StateAt,
    other: StateAt,
) -> Result<StateAt, StorageError> {
    let (ours, theirs) = (way_up(reader, room, one)?, way_up(reader, room, other)?);
    for here in &ours {
        if let Some(there) = theirs.iter().find(|there| there.branch == here.branch) {
            return Ok(StateAt { branch: here.branch, version: here.version.min(there.version) });
        }
    }
    Ok(EMPTY)
}

/// Collects the keys that changed on the way from `common` down to `at`.
fn keys_since(
    reader: &impl Read,
    room: RoomNo,
    common: StateAt,
    at: StateAt,
    keys: &mut BTreeSet<StateKey>,
) -> Result<(), StorageError> {
    for here in way_up(reader, room, at)? {
        let after = if here.branch == common.branch { common.version } else { 0 };
        let log = Scan::prefix((room, here.branch))
            .from((room, here.branch, after + 1))
            .before((room, here.branch, here.version + 1))
            .limit(usize::MAX);
        for (_, change) in STATE_CHANGE.scan_with(reader, log)? {
            keys.insert((change.event_type, change.state_key));
        }
        if here.branch == common.branch {
            break;
        }
    }
    Ok(())
}
