//! Format 3: relations of events by their type, and which events have any that are summed up, for
//! events that were stored before there were such rows.
//!
//! All of it stands in the table of relations by the event they lead to, which is as old as rooms are.
//! What is there already is written again, as it is: a row says the same whoever writes it.

use std::collections::BTreeMap;

use ruma::OwnedEventId;
use serde::{Deserialize, Serialize};
use vestibule_storage::{
    Scan, Stamp, StorageError, Tx,
    tables::{
        relation::{AGGREGATED, RELATION_BY_TYPE, StoredAggregated},
        room::{RELATION_BY_PARENT, StoredEventNo, StoredRelation},
    },
};
use vestibule_types::RoomNo;

use crate::{
    MigrationError,
    step::{Context, Progress},
};

/// Rows looked at in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// A relation: room, the event it leads to, and when it was stored.
type Place = (RoomNo, OwnedEventId, Stamp);

/// The last relation that was looked at: room, event, commit, index in the commit.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(RoomNo, OwnedEventId, u64, u16);

pub(crate) fn run(
    tx: &mut Tx<'_>,
    _: &Context,
    from: Option<&[u8]>,
) -> Result<Progress, MigrationError> {
    let mut scan = Scan::prefix(()).limit(ROWS_AT_ONCE);
    if let Some(bytes) = from {
        scan = scan.after(read(bytes)?);
    }
    let rows = RELATION_BY_PARENT.scan_with(&tx.fixed(), scan)?;
    let last = rows.last().filter(|_| rows.len() == ROWS_AT_ONCE).map(|(place, _)| place.clone());
    index(tx, rows)?;
    match last {
        Some((room, parent, at)) => {
            Ok(Progress::More(written(&Cursor(room, parent, at.commit, at.index))?))
        }
        None => Ok(Progress::Done),
    }
}

fn index(tx: &mut Tx<'_>, rows: Vec<(Place, StoredRelation)>) -> Result<(), StorageError> {
    let mut found: BTreeMap<(RoomNo, OwnedEventId), StoredAggregated> = BTreeMap::new();
    for ((room, parent, stamp), relation) in rows {
        let place = (room, &parent, &relation.rel_type, stamp);
        RELATION_BY_TYPE.put(tx, place, &StoredEventNo(relation.event))?;
        let kinds = found.entry((room, parent)).or_default();
        match relation.rel_type.as_str() {
            "m.thread" => kinds.thread = true,
            "m.replace" => kinds.replaced = true,
            "m.reference" => kinds.referenced = true,
            _ => {}
        }
    }
    for ((room, parent), kinds) in found {
        let before = AGGREGATED.get(&tx.fixed(), (room, &parent))?.unwrap_or_default();
        let now = StoredAggregated {
            thread: before.thread || kinds.thread,
            replaced: before.replaced || kinds.replaced,
            referenced: before.referenced || kinds.referenced,
        };
        if now != before {
            AGGREGATED.put(tx, (room, &parent), &now)?;
        }
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Place, StorageError> {
    let read = serde_json::from_slice(bytes);
    let Cursor(room, parent, commit, index) = read.map_err(damaged)?;
    Ok((room, parent, Stamp { commit, index }))
}

fn written(cursor: &Cursor) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(cursor).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StorageError {
    StorageError::corrupt("migration_progress", error)
}
