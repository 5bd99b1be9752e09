//! Format 4: relations of events by who sent them, for events that were stored before there were such
//! rows.
//!
//! All of it stands in the table of relations by their type and in the events themselves. What is there
//! already is written again, as it is: a row says the same whoever writes it.

use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_storage::{
    Scan, Stamp, StorageError, Tx,
    tables::{
        relation::{RELATION_BY_SENDER, RELATION_BY_TYPE},
        room::{EVENT_BY_NO, StoredEventNo},
    },
};
use vestibule_types::RoomNo;

use crate::{
    MigrationError,
    step::{Context, Progress},
};

/// Rows looked at in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// A relation: room, the event it leads to, its type, and when it was stored.
type Place = (RoomNo, OwnedEventId, String, Stamp);

/// The last relation that was looked at: room, event, type, commit, index in the commit.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(RoomNo, OwnedEventId, String, u64, u16);

/// As much of an event as is needed here.
#[derive(Deserialize)]
struct Sent {
    sender: OwnedUserId,
}

pub(crate) fn run(
    tx: &mut Tx<'_>,
    _: &Context,
    from: Option<&[u8]>,
) -> Result<Progress, MigrationError> {
    let mut scan = Scan::prefix(()).limit(ROWS_AT_ONCE);
    if let Some(bytes) = from {
        scan = scan.after(read(bytes)?);
    }
    let rows = RELATION_BY_TYPE.scan_with(&tx.fixed(), scan)?;
    let last = rows.last().filter(|_| rows.len() == ROWS_AT_ONCE).map(|(place, _)| place.clone());
    index(tx, rows)?;
    match last {
        Some((room, parent, kind, at)) => {
            Ok(Progress::More(written(&Cursor(room, parent, kind, at.commit, at.index))?))
        }
        None => Ok(Progress::Done),
    }
}

fn index(tx: &mut Tx<'_>, rows: Vec<(Place, StoredEventNo)>) -> Result<(), StorageError> {
    let keys = rows.iter().map(|((room, ..), event)| (*room, event.0));
    let events = EVENT_BY_NO.multi_get(&tx.fixed(), keys)?;
    for (((room, parent, kind, stamp), no), event) in rows.into_iter().zip(events) {
        let Some(event) = event else { continue };
        // An event without a sender was never let in.
        let Ok(Sent { sender }) = serde_json::from_slice(&event.json) else { continue };
        RELATION_BY_SENDER.put(tx, (room, &parent, &kind, &sender, stamp), &no)?;
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Place, StorageError> {
    let read = serde_json::from_slice(bytes);
    let Cursor(room, parent, kind, commit, index) = read.map_err(damaged)?;
    Ok((room, parent, kind, Stamp { commit, index }))
}

fn written(cursor: &Cursor) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(cursor).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StorageError {
    StorageError::corrupt("migration_progress", error)
}
