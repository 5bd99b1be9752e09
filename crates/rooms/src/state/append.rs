//! Writing a new version.

use vestibule_storage::{
    StorageError, Tx,
    tables::room::{
        STATE_BRANCH, STATE_CHANGE, STATE_ENTRY, StateAt, StoredBranch, StoredStateChange,
        StoredStateEntry,
    },
};
use vestibule_types::RoomNo;

use super::{BRANCH_DEPTH_MAX, EMPTY, StateChange, diff, inverted};

/// Adds a version in which `changes` hold on top of `at`. No change, no new version.
///
/// `next_branch` is the room's counter; it moves when a branch had to be opened.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    room: RoomNo,
    at: StateAt,
    changes: &[StateChange],
    next_branch: &mut u32,
) -> Result<StateAt, StorageError> {
    if changes.is_empty() {
        return Ok(at);
    }
    let mut branch = STATE_BRANCH.get(tx, (room, at.branch))?.unwrap_or_default();
    if branch.head == at.version {
        return write_version(tx, room, at.branch, &mut branch, changes);
    }

    let opened = *next_branch;
    *next_branch += 1;
    if branch.depth < BRANCH_DEPTH_MAX {
        let mut child = StoredBranch { parent: Some(at), depth: branch.depth + 1, head: 0 };
        return write_version(tx, room, opened, &mut child, changes);
    }
    flatten(tx, room, at, changes, opened)
}

/// Opens a branch directly under the root branch that repeats what `at` has beyond it.
fn flatten(
    tx: &mut Tx<'_>,
    room: RoomNo,
    at: StateAt,
    changes: &[StateChange],
    opened: u32,
) -> Result<StateAt, StorageError> {
    let mut trunk = at;
    while let Some(parent) = STATE_BRANCH.get(tx, (room, trunk.branch))?.unwrap_or_default().parent
    {
        trunk = parent;
    }
    let mut beyond = diff(tx, room, trunk, at)?;
    for change in changes {
        match beyond.iter_mut().find(|known| known.key == change.key) {
            Some(known) => known.new = change.new,
            None => beyond.push(change.clone()),
        }
    }
    let parent = if trunk == EMPTY { None } else { Some(trunk) };
    let mut branch = StoredBranch { parent, depth: u8::from(parent.is_some()), head: 0 };
    write_version(tx, room, opened, &mut branch, &beyond)
}

fn write_version(
    tx: &mut Tx<'_>,
    room: RoomNo,
    branch_no: u32,
    branch: &mut StoredBranch,
    changes: &[StateChange],
) -> Result<StateAt, StorageError> {
    branch.head += 1;
    let version = branch.head;
    for (index, change) in (0_u32..).zip(changes) {
        let (event_type, state_key) = (change.key.0.as_str(), change.key.1.as_str());
        STATE_ENTRY.put(
            tx,
            (room, branch_no, event_type, state_key, inverted(version)),
            &StoredStateEntry(change.new),
        )?;
        STATE_CHANGE.put(
            tx,
            (room, branch_no, version, index),
            &StoredStateChange {
                event_type: event_type.to_owned(),
                state_key: state_key.to_owned(),
                new: change.new,
                old: change.old,
            },
        )?;
    }
    STATE_BRANCH.put(tx, (room, branch_no), branch)?;
    Ok(StateAt { branch: branch_no, version })
}
