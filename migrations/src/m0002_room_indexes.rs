//! Format 2: which servers are in a room, which rooms a server is in, and which rooms a user of any
//! server is joined to, from who is joined.
//!
//! Databases of the first format may have none of these rows, or those of what changed since a
//! server that knows them ran: all of them are removed and made anew. Each transaction takes up
//! where the last one stopped in the table of members, so no member is counted twice.

use std::collections::BTreeMap;

use ruma::{OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_storage::{
    Scan, StorageError, Tx,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{MEMBER_BY_ROOM, ROOM_BY_SERVER, SERVER_BY_ROOM, StoredMembership},
    },
};
use vestibule_types::RoomNo;

use crate::{
    MigrationError,
    step::{Context, Progress},
};

/// Rows looked at in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// The last member that was looked at: room, membership, user.
type Place = (RoomNo, u8, OwnedUserId);

#[derive(Debug, Serialize, Deserialize)]
struct Cursor(RoomNo, u8, OwnedUserId);

pub(crate) fn run(
    tx: &mut Tx<'_>,
    _: &Context,
    from: Option<&[u8]>,
) -> Result<Progress, MigrationError> {
    let mut scan = Scan::prefix(()).limit(ROWS_AT_ONCE);
    if let Some(bytes) = from {
        scan = scan.after(read(bytes)?);
    } else {
        SERVER_BY_ROOM.delete_prefix(tx, ())?;
        ROOM_BY_SERVER.delete_prefix(tx, ())?;
        JOINED_ROOM_BY_USER.delete_prefix(tx, ())?;
    }
    let rows = MEMBER_BY_ROOM.scan_with(&tx.fixed(), scan)?;
    let last = rows.last().filter(|_| rows.len() == ROWS_AT_ONCE).map(|(place, _)| place.clone());
    index(tx, rows.into_iter().map(|(place, _)| place))?;
    match last {
        Some((room, membership, user)) => {
            Ok(Progress::More(written(&Cursor(room, membership, user))?))
        }
        None => Ok(Progress::Done),
    }
}

fn index(tx: &mut Tx<'_>, members: impl Iterator<Item = Place>) -> Result<(), StorageError> {
    let mut joined: BTreeMap<(RoomNo, OwnedServerName), u64> = BTreeMap::new();
    for (room, membership, user) in members {
        if membership == StoredMembership::Join.key() {
            JOINED_ROOM_BY_USER.put(tx, (&user, room), &())?;
            *joined.entry((room, user.server_name().to_owned())).or_default() += 1;
        }
    }
    for ((room, server), more) in joined {
        let before = SERVER_BY_ROOM.get(&tx.fixed(), (room, &server))?.unwrap_or_default();
        SERVER_BY_ROOM.put(tx, (room, &server), &before.saturating_add(more))?;
        ROOM_BY_SERVER.put(tx, (&server, room), &())?;
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Place, StorageError> {
    let read = serde_json::from_slice(bytes);
    let Cursor(room, membership, user) = read.map_err(damaged)?;
    Ok((room, membership, user))
}

fn written(cursor: &Cursor) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(cursor).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StorageError {
    StorageError::corrupt("migration_progress", error)
}
