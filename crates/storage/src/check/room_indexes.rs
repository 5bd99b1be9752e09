//! Whether the indexes of rooms say what the memberships say: which servers are in a room, which
//! rooms a server is in, and which rooms somebody is joined to.

use std::collections::BTreeMap;

use ruma::{OwnedServerName, OwnedUserId};
use vestibule_types::RoomNo;

use super::CheckReport;
use crate::{
    Read, Scan, StorageError,
    key::Shown,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{MEMBER_BY_ROOM, ROOM_BY_SERVER, SERVER_BY_ROOM, StoredMembership},
    },
};

/// Rows read in one go.
const PAGE: usize = 1_000;

const JOINED: u8 = StoredMembership::Join.key();

/// Compares the memberships with each index, in both directions. Rows that cannot be read are
/// reported by their own check, so they end this one.
pub(super) fn check(
    reader: &(impl Read + ?Sized),
    report: &mut CheckReport,
) -> Result<(), StorageError> {
    for compared in [members(reader, report), servers(reader, report), joined(reader, report)] {
        match compared {
            Ok(()) | Err(StorageError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Everybody who is joined stands in the index of their rooms and is counted for their server.
fn members(reader: &(impl Read + ?Sized), report: &mut CheckReport) -> Result<(), StorageError> {
    let mut counted = Counted::default();
    let mut page = Scan::prefix(()).limit(PAGE);
    loop {
        let rows = MEMBER_BY_ROOM.scan_with(reader, page)?;
        let Some(((room, membership, user), _)) = rows.last() else { break };
        let next = Scan::prefix(()).after((*room, *membership, user)).limit(PAGE);
        let here: Vec<(RoomNo, OwnedUserId)> = rows
            .into_iter()
            .filter(|((_, membership, _), _)| *membership == JOINED)
            .map(|((room, _, user), _)| (room, user))
            .collect();
        let index = here.iter().map(|(room, user)| (user, *room));
        for ((room, user), row) in here.iter().zip(JOINED_ROOM_BY_USER.multi_get(reader, index)?) {
            if row.is_none() {
                let key = JOINED_ROOM_BY_USER.key_bytes((user, *room));
                report.note(JOINED_ROOM_BY_USER.name(), &key, "a joined member is not in it");
            }
            if counted.room != Some(*room) {
                counted.compare(reader, report)?;
                counted = Counted { room: Some(*room), by_server: BTreeMap::new() };
            }
            *counted.by_server.entry(user.server_name().to_owned()).or_default() += 1;
        }
        page = next;
    }
    counted.compare(reader, report)
}

/// The joined members of one room, by server.
#[derive(Default)]
struct Counted {
    room: Option<RoomNo>,
    by_server: BTreeMap<OwnedServerName, u64>,
}

impl Counted {
    fn compare(
        &self,
        reader: &(impl Read + ?Sized),
        report: &mut CheckReport,
    ) -> Result<(), StorageError> {
        let Some(room) = self.room else { return Ok(()) };
        for (server, count) in &self.by_server {
            let stored = SERVER_BY_ROOM.get(reader, (room, server))?.unwrap_or_default();
            if stored != *count {
                let key = SERVER_BY_ROOM.key_bytes((room, server));
                let detail = format!("it says {stored} joined members, there are {count}");
                report.note(SERVER_BY_ROOM.name(), &key, &detail);
            }
        }
        let mut page = Scan::prefix((room,)).limit(PAGE);
        loop {
            let rows = SERVER_BY_ROOM.scan_with(reader, page)?;
            let Some(((_, last), _)) = rows.last() else { return Ok(()) };
            page = Scan::prefix((room,)).after((room, last)).limit(PAGE);
            for ((_, server), _) in &rows {
                if !self.by_server.contains_key(server) {
                    let key = SERVER_BY_ROOM.key_bytes((room, server));
                    report.note(SERVER_BY_ROOM.name(), &key, "nobody of the server is joined");
                }
            }
        }
    }
}

/// The two indexes of servers and rooms are the same, and no room without members is in them.
fn servers(reader: &(impl Read + ?Sized), report: &mut CheckReport) -> Result<(), StorageError> {
    let mut page = Scan::prefix(()).limit(PAGE);
    loop {
        let rows = SERVER_BY_ROOM.scan_with(reader, page)?;
        let Some(((room, server), _)) = rows.last() else { break };
        page = Scan::prefix(()).after((*room, server)).limit(PAGE);
        let other = rows.iter().map(|((room, server), _)| (server, *room));
        for (((room, server), _), row) in rows.iter().zip(ROOM_BY_SERVER.multi_get(reader, other)?)
        {
            if row.is_none() {
                let key = ROOM_BY_SERVER.key_bytes((server, *room));
                report.note(ROOM_BY_SERVER.name(), &key, "a server of a room is not in it");
            }
            if MEMBER_BY_ROOM.scan(reader, (*room, JOINED), 1)?.is_empty() {
                let key = SERVER_BY_ROOM.key_bytes((*room, server));
                report.note(SERVER_BY_ROOM.name(), &key, "nobody at all is joined");
            }
        }
    }
    let mut page = Scan::prefix(()).limit(PAGE);
    loop {
        let rows = ROOM_BY_SERVER.scan_with(reader, page)?;
        let Some(((server, room), ())) = rows.last() else { return Ok(()) };
        page = Scan::prefix(()).after((server, *room)).limit(PAGE);
        let other = rows.iter().map(|((server, room), ())| (*room, server));
        for (((server, room), ()), row) in rows.iter().zip(SERVER_BY_ROOM.multi_get(reader, other)?)
        {
            if row.is_none() {
                let key = ROOM_BY_SERVER.key_bytes((server, *room));
                report.note(ROOM_BY_SERVER.name(), &key, "the server is not in the room");
            }
        }
    }
}

/// Whoever stands in the index of joined rooms is joined.
fn joined(reader: &(impl Read + ?Sized), report: &mut CheckReport) -> Result<(), StorageError> {
    let mut page = Scan::prefix(()).limit(PAGE);
    loop {
        let rows = JOINED_ROOM_BY_USER.scan_with(reader, page)?;
        let Some(((user, room), ())) = rows.last() else { return Ok(()) };
        page = Scan::prefix(()).after((user, *room)).limit(PAGE);
        let members = rows.iter().map(|((user, room), ())| (*room, JOINED, user));
        for (((user, room), ()), row) in rows.iter().zip(MEMBER_BY_ROOM.multi_get(reader, members)?)
        {
            if row.is_none() {
                let key = JOINED_ROOM_BY_USER.key_bytes((user, *room));
                report.note(JOINED_ROOM_BY_USER.name(), &key, "the user is not joined");
            }
        }
    }
}

impl CheckReport {
    /// Notes a row that is missing or wrong; the key is as the engine has it.
    fn note(&mut self, table: &'static str, key: &[u8], detail: &str) {
        // The table's number is in its name.
        let key = key.get(2..).unwrap_or_default();
        self.add(Some(table), Shown(key).to_string(), detail.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::*;
    use crate::{
        CommitMode, Durability, InlineExecutor, MemoryEngine, SlotNo, Store, StoreOptions, Tx,
        check, tables::room::StoredEventNo,
    };

    const ROOM: RoomNo = RoomNo(4);

    async fn problems(
        write: impl Fn(&mut Tx<'_>) -> Result<(), StorageError> + Send + Sync + 'static,
    ) -> Vec<(&'static str, String)> {
        let options = StoreOptions {
            slots: 1,
            durability: Durability::Os,
            commit: CommitMode::Inline,
            executor: std::sync::Arc::new(InlineExecutor),
        };
        let store = Store::open(MemoryEngine::new(1), options).unwrap();
        let sound = |tx: &mut Tx<'_>| {
            for user in [user_id!("@a:one"), user_id!("@b:one"), user_id!("@c:two")] {
                let event = StoredEventNo(vestibule_types::EventNo(1));
                MEMBER_BY_ROOM.put(tx, (ROOM, JOINED, user), &event)?;
                JOINED_ROOM_BY_USER.put(tx, (user, ROOM), &())?;
            }
            for (server, count) in [(server_name!("one"), 2), (server_name!("two"), 1)] {
                SERVER_BY_ROOM.put(tx, (ROOM, server), &count)?;
                ROOM_BY_SERVER.put(tx, (server, ROOM), &())?;
            }
            Ok::<_, StorageError>(())
        };
        store
            .write::<_, StorageError, _>(SlotNo(0), move |tx| {
                sound(tx)?;
                write(tx)
            })
            .await
            .unwrap();
        let report = store.read::<_, StorageError, _>(|read| Ok(check(read))).await.unwrap();
        assert_eq!(usize::try_from(report.damaged).unwrap(), report.problems.len());
        report.problems.into_iter().map(|it| (it.table.unwrap(), it.detail)).collect()
    }

    fn found(table: &'static str, detail: &str) -> Vec<(&'static str, String)> {
        vec![(table, detail.to_owned())]
    }

    #[tokio::test]
    async fn indexes_that_say_what_memberships_say_are_sound() {
        assert_eq!(problems(|_| Ok(())).await, []);
    }

    #[tokio::test]
    async fn a_count_that_is_not_that_of_the_members_is_named() {
        let wrong = problems(|tx| SERVER_BY_ROOM.put(tx, (ROOM, server_name!("one")), &3)).await;
        let detail = "it says 3 joined members, there are 2";
        assert_eq!(wrong, found("server_by_room", detail));
    }

    #[tokio::test]
    async fn a_row_that_is_missing_is_named() {
        let wrong = problems(|tx| JOINED_ROOM_BY_USER.delete(tx, (user_id!("@a:one"), ROOM)));
        let detail = "a joined member is not in it";
        assert_eq!(wrong.await, found("joined_room_by_user", detail));
        let wrong = problems(|tx| ROOM_BY_SERVER.delete(tx, (server_name!("two"), ROOM)));
        assert_eq!(wrong.await, found("room_by_server", "a server of a room is not in it"));
    }

    #[tokio::test]
    async fn a_row_that_stands_for_nobody_is_named() {
        let wrong = problems(|tx| JOINED_ROOM_BY_USER.put(tx, (user_id!("@x:one"), ROOM), &()));
        assert_eq!(wrong.await, found("joined_room_by_user", "the user is not joined"));
        let wrong = problems(|tx| ROOM_BY_SERVER.put(tx, (server_name!("x"), ROOM), &()));
        assert_eq!(wrong.await, found("room_by_server", "the server is not in the room"));
        let wrong = problems(|tx| {
            SERVER_BY_ROOM.put(tx, (ROOM, server_name!("x")), &1)?;
            ROOM_BY_SERVER.put(tx, (server_name!("x"), ROOM), &())
        });
        assert_eq!(wrong.await, found("server_by_room", "nobody of the server is joined"));
    }
}
