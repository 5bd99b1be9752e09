//! Which other servers are told of an event: those that were in the room when it was sent.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use moka::sync::Cache;
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    LogLine, Read, Scan, Stamp, StorageError,
    tables::{
        room::{SERVER_BY_ROOM, StoredNews},
        sender::{SERVER_CHANGE, StoredServerChange},
    },
};
use vestibule_types::{
    RoomNo,
    limits::{ROOM_SERVERS_MAX, ROOMS_ALONE_MAX, SERVER_CHANGES_MAX, SERVERS_READY_MAX},
};

/// Servers of a room, shared by everybody who is told of the same events.
pub(super) type Servers = Arc<[OwnedServerName]>;

/// The other servers of rooms, kept in memory until one comes or goes.
pub(super) struct RoomServers {
    us: OwnedServerName,
    /// By room: when it last changed, and who is there since.
    ready: Cache<RoomNo, (Stamp, Servers)>,
    alone: Arc<Alone>,
}

/// Rooms in which no other server ever was, as far as the log was looked through.
#[derive(Debug, Default)]
struct Alone(Mutex<HashSet<RoomNo>>);

impl Alone {
    fn note(&self, room: RoomNo, alone: bool) {
        let mut rooms = self.0.lock();
        if !alone {
            rooms.remove(&room);
        } else if rooms.len() < ROOMS_ALONE_MAX {
            rooms.insert(room);
        }
    }

    /// Whether a line of the log may be something to tell other servers.
    fn concerns(&self, line: &LogLine) -> bool {
        match &*line.news {
            StoredNews::Event { member: Some(_), .. } | StoredNews::Outbox { .. } => true,
            StoredNews::Event { room, member: None, .. } | StoredNews::Receipt { room } => {
                line.servers_moved || !self.0.lock().contains(room)
            }
            StoredNews::State { .. } | StoredNews::User { .. } | StoredNews::DeviceList { .. } => {
                line.servers_moved
            }
        }
    }
}

impl RoomServers {
    pub(super) fn new(us: OwnedServerName) -> Self {
        let weigh = |_: &RoomNo, (_, servers): &(Stamp, Servers)| {
            u32::try_from(servers.len().saturating_add(1)).unwrap_or(u32::MAX)
        };
        let ready = Cache::builder().weigher(weigh).max_capacity(SERVERS_READY_MAX).build();
        Self { us, ready, alone: Arc::default() }
    }

    /// Whether a line of the log may be something to tell other servers, as long as this server runs.
    /// A room counts as left alone once a line of it was looked at and no other server had been there.
    /// The first server that comes has its own mark in the log, so that the room is looked at again.
    pub(super) fn concerns(&self) -> impl Fn(&LogLine) -> bool + Send + Sync + 'static {
        let alone = Arc::clone(&self.alone);
        move |line| alone.concerns(line)
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
            self.alone.note(room, true);
            return Ok(Arc::default());
        };
        self.alone.note(room, false);
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

pub(super) type Change = ((RoomNo, Stamp, OwnedServerName), StoredServerChange);

/// The servers that came into a room and left it since a moment.
pub(super) fn changes_since(
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

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;
    use vestibule_storage::SlotNo;
    use vestibule_types::EventNo;

    use super::*;

    const ROOM: RoomNo = RoomNo(1);

    fn line(news: StoredNews) -> LogLine {
        LogLine::new(SlotNo(0), Stamp { commit: 1, index: 0 }, news)
    }

    #[test]
    fn a_room_alone_wakes_nobody_until_another_server_may_be_there() {
        let alone = Alone::default();
        let event = |member| line(StoredNews::Event { room: ROOM, event: EventNo(1), member });
        let message = event(None);
        assert!(alone.concerns(&message), "a room that was not looked at");
        alone.note(ROOM, true);
        assert!(!alone.concerns(&message));
        assert!(!alone.concerns(&line(StoredNews::Receipt { room: ROOM })));
        assert!(alone.concerns(&event(Some(owned_user_id!("@bob:b.example")))));
        assert!(alone.concerns(&line(StoredNews::Outbox { servers: Vec::new() })));
        let mut merged = message.clone();
        merged.servers_moved = true;
        assert!(alone.concerns(&merged), "a server came with an event that is no membership");
        alone.note(ROOM, false);
        assert!(alone.concerns(&message));
    }
}
