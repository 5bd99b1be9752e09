//! Following the published log: one task that wakes everybody.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ruma::OwnedUserId;
use vestibule_rooms::Rooms;
use vestibule_storage::{
    Positions, Read, Scan, SlotNo, Snapshot, Stamp, Stamped, StorageError,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{ROOM_BY_MEMBER, STREAM, StoredMember, StoredMembership, StoredNews},
    },
};
use vestibule_types::{Environment, RoomNo, limits::JOINED_ROOMS_MAX};

use crate::hub::{Hub, Member, News, Place};

/// How long the tail waits after a failed read.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the log until the server stops.
pub(crate) async fn follow(hub: Arc<Hub>, rooms: Rooms, environment: Environment) {
    let mut published = rooms.store().watch();
    let typing = rooms.typing();
    let mut typed = typing.watch();
    let (mut typing_seen, _) = typing.since(u64::MAX);
    let mut stopping = environment.spawner.stopping();
    loop {
        // Whatever was published before this is in the snapshot read next.
        published.mark_unchanged();
        if let Err(error) = catch_up(&hub, &rooms).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow the log");
            tokio::select! {
                biased;
                () = &mut stopping => return,
                () = environment.clock.sleep(RETRY) => continue,
            }
        }
        typed.mark_unchanged();
        let (last, changed) = typing.since(typing_seen.max(1));
        typing_seen = last;
        hub.ring_rooms(changed.into_iter().map(|here| here.room));
        let clock = &environment.clock;
        let end = typing.next_end().map(|end| end.saturating_sub(clock.monotonic()));
        tokio::select! {
            biased;
            changed = published.changed() => if changed.is_err() { return },
            changed = typed.changed() => if changed.is_err() { return },
            () = clock.sleep(end.unwrap_or_default()), if end.is_some() => {
                typing.expire(clock.monotonic());
            }
            () = &mut stopping => return,
        }
    }
}

async fn catch_up(hub: &Arc<Hub>, rooms: &Rooms) -> Result<(), StorageError> {
    let from = hub.tail();
    if rooms.store().positions() == from {
        return Ok(());
    }
    let reading = Arc::clone(hub);
    let news = rooms.store().read(move |snapshot| read(&reading, snapshot, &from)).await?;
    hub.follow(news);
    Ok(())
}

fn read(hub: &Hub, snapshot: &Snapshot<'_>, from: &Positions) -> Result<News, StorageError> {
    let mut news = News { to: snapshot.positions()?, ..News::default() };
    let mut moved: HashSet<(OwnedUserId, RoomNo)> = HashSet::new();
    let mut lists: HashSet<OwnedUserId> = HashSet::new();
    for (slot, _) in news.to.clone().iter() {
        each_since(snapshot, slot, from.get(slot), |place, line| {
            match line {
                StoredNews::Event { room, member, .. } => {
                    news.rooms.insert(room, place);
                    moved.extend(member.filter(|user| hub.knows(user)).map(|user| (user, room)));
                }
                StoredNews::State { room } => {
                    news.rooms.insert(room, place);
                    moved.extend(hub.known_in(room).into_iter().map(|user| (user, room)));
                }
                StoredNews::Receipt { room } => {
                    news.rooms.insert(room, place);
                }
                StoredNews::User { user } => {
                    news.users.insert(user);
                }
                StoredNews::DeviceList { user } => {
                    lists.insert(user);
                }
                StoredNews::Outbox { .. } => {}
            }
            true
        })?;
    }
    for user in lists {
        // Whoever shares a room with them has to ask for their devices.
        let rooms = JOINED_ROOM_BY_USER.scan(snapshot, (&user,), JOINED_ROOMS_MAX)?;
        news.company.extend(rooms.into_iter().map(|((_, room), ())| room));
        news.users.insert(user);
    }
    let moved: Vec<(OwnedUserId, RoomNo)> = moved.into_iter().collect();
    let keys = moved.iter().map(|(user, room)| (user, *room));
    let rows = ROOM_BY_MEMBER.multi_get(snapshot, keys)?;
    for ((user, room), row) in moved.into_iter().zip(rows) {
        let Some(place) = news.rooms.get(&room).copied() else { continue };
        let gone = Member { membership: StoredMembership::Leave, since: place };
        let member = row.map_or(gone, |row| member(place.0, &row));
        news.members.push((user, room, member));
    }
    Ok(news)
}

/// A stored membership as the hub knows it.
pub(crate) fn member(slot: SlotNo, row: &Stamped<StoredMember>) -> Member {
    Member { membership: row.value.membership, since: (slot, row.stamp.commit) }
}

/// Shows the lines of a slot's log after a commit, oldest first, while they are wanted.
pub(crate) fn each_since(
    reader: &impl Read,
    slot: SlotNo,
    after: u64,
    mut visit: impl FnMut(Place, StoredNews) -> bool,
) -> Result<(), StorageError> {
    use std::ops::ControlFlow::{Break, Continue};
    let lines = Scan::prefix((slot.0,)).after((slot.0, Stamp::end_of(after)));
    STREAM.each(reader, lines, |(_, stamp), line| {
        if visit((slot, stamp.commit), line) { Continue(()) } else { Break(()) }
    })
}
