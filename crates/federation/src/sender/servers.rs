//! Which other servers are told of an event: those that were in the room when it was sent.

use std::{collections::BTreeSet, sync::Arc};

use moka::sync::Cache;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    Read, Scan, Stamp, StorageError,
    tables::{
        room::SERVER_BY_ROOM,
        sender::{SERVER_CHANGE, StoredServerChange},
    },
};
use vestibule_types::{
    RoomNo,
    limits::{ROOM_SERVERS_MAX, SERVER_CHANGES_MAX, SERVERS_READY_MAX},
};

/// Servers of a room, shared by everybody who is told of the same events.
pub(super) type Servers = Arc<[OwnedServerName]>;

/// The other servers of rooms, kept in memory until one comes or goes.
pub(super) struct RoomServers {
    us: OwnedServerName,
    /// By room: when it last changed, and who is there since.
    ready: Cache<RoomNo, (Stamp, Servers)>,
}

impl RoomServers {
    pub(super) fn new(us: OwnedServerName) -> Self {
        let weigh = |_: &RoomNo, (_, servers): &(Stamp, Servers)| {
            u32::try_from(servers.len().saturating_add(1)).unwrap_or(u32::MAX)
        };
        let ready = Cache::builder().weigher(weigh).max_capacity(SERVERS_READY_MAX).build();
        Self { us, ready }
    }

    /// The other servers that were in a room when something was sent there. One seek for a room
    /// that other servers never were in.
    ///
    /// A server is told of what makes it leave, and not of what made it come: whoever let it in
    /// has told it.
    pub(super) fn at(
        &self,
        reader: &impl Read,
        room: RoomNo,
        when: Stamp,
    ) -> Result<Servers, StorageError> {
        let newest = SERVER_CHANGE.scan_with(reader, Scan::prefix((room,)).reverse().limit(1))?;
        let Some(((_, changed, _), _)) = newest.into_iter().next() else {
            return Ok(Arc::default());
        };
        let now = self.now(reader, room, changed)?;
        if changed < when {
            return Ok(now);
        }
        let mut then: BTreeSet<OwnedServerName> = now.iter().cloned().collect();
        for ((_, _, server), change) in changes_since(reader, room, when)?.into_iter().rev() {
            if change.joined {
                then.remove(&server);
            } else {
                then.insert(server);
            }
        }
        Ok(then.into_iter().collect())
    }

    fn now(
        &self,
        reader: &impl Read,
        room: RoomNo,
        changed: Stamp,
    ) -> Result<Servers, StorageError> {
        if let Some((_, known)) = self.ready.get(&room).filter(|(at, _)| *at == changed) {
            return Ok(known);
        }
        let rows = SERVER_BY_ROOM.scan(reader, (room,), ROOM_SERVERS_MAX)?;
        let others = rows.into_iter().map(|((_, server), _)| server);
        let servers: Servers = others.filter(|server| *server != self.us).collect();
        self.ready.insert(room, (changed, Arc::clone(&servers)));
        Ok(servers)
    }
}

type Change = ((RoomNo, Stamp, OwnedServerName), StoredServerChange);

fn changes_since(
    reader: &impl Read,
    room: RoomNo,
    when: Stamp,
) -> Result<Vec<Change>, StorageError> {
    let scan = Scan::prefix((room,)).from((room, when)).limit(SERVER_CHANGES_MAX);
    SERVER_CHANGE.scan_with(reader, scan)
}

/// When one server was in one room, from some moment on.
pub(super) struct Stay {
    changes: Vec<(Stamp, bool)>,
    now: bool,
}

impl Stay {
    /// Reads it for everything after `since`.
    pub(super) fn since(
        reader: &impl Read,
        (room, server): (RoomNo, &ServerName),
        since: Stamp,
    ) -> Result<Self, StorageError> {
        let changes = changes_since(reader, room, since)?.into_iter();
        Ok(Self {
            changes: changes
                .filter(|((_, _, who), _)| who == server)
                .map(|((_, at, _), change)| (at, change.joined))
                .collect(),
            now: SERVER_BY_ROOM.contains(reader, (room, server))?,
        })
    }

    /// Whether the server is told of what was sent at this moment.
    pub(super) fn covers(&self, when: Stamp) -> bool {
        let next = self.changes.iter().find(|(at, _)| *at >= when);
        next.map_or(self.now, |(_, joined)| !joined)
    }
}
