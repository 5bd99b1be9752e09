//! Following the published log: one task that wakes everybody.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ruma::OwnedUserId;
use vestibule_rooms::Rooms;
use vestibule_storage::{
    Lately, LogLine, Positions, Read, Scan, SlotNo, Snapshot, Stamp, Stamped, StorageError,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{ROOM_BY_MEMBER, STREAM, StoredMember, StoredMembership, StoredNews},
    },
};
use vestibule_types::{Environment, RoomNo, limits::JOINED_ROOMS_MAX};

use crate::{
    hub::{Hub, Member, News, Place},
    recent::Deed,
};

/// How long the tail waits after a failed read.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the log until the server stops.
pub(crate) async fn follow(hub: Arc<Hub>, rooms: Rooms, environment: Environment) {
    let mut published = rooms.store().watch_for(concerns);
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

/// Whether a line of the log is one that wakes somebody.
fn concerns(line: &LogLine) -> bool {
    !matches!(*line.news, StoredNews::Outbox { .. })
}

async fn catch_up(hub: &Arc<Hub>, rooms: &Rooms) -> Result<(), StorageError> {
    let from = hub.tail();
    if rooms.store().positions() == from {
        return Ok(());
    }
    // What lines in memory tell alone takes no read.
    if let Some(Lately { to, lines }) = rooms.store().lately(&from) {
        let mut told = Told { news: News { to, ..News::default() }, ..Told::default() };
        for line in lines {
            told.line(hub, (line.slot, line.stamp.commit), &line.news);
        }
        if told.moved.is_empty() && told.lists.is_empty() {
            hub.follow(told.news);
            return end_typing(rooms, told.members).await;
        }
    }
    let reading = Arc::clone(hub);
    let read = rooms.store().read(move |snapshot| read(&reading, snapshot, &from)).await?;
    let (news, members) = read;
    hub.follow(news);
    end_typing(rooms, members).await
}

/// Ends the notices of typing of those who are not in the room any more.
async fn end_typing(
    rooms: &Rooms,
    mut members: HashSet<(OwnedUserId, RoomNo)>,
) -> Result<(), StorageError> {
    let typing = rooms.typing();
    members.retain(|(user, room)| typing.is_typing(*room, user));
    if members.is_empty() {
        return Ok(());
    }
    let members: Vec<(OwnedUserId, RoomNo)> = members.into_iter().collect();
    let gone = rooms.store().read::<_, StorageError, _>(move |snapshot| {
        let places = members.iter().map(|(user, room)| (user, *room));
        let rows = JOINED_ROOM_BY_USER.multi_get(snapshot, places)?;
        let gone = members.into_iter().zip(rows).filter(|(_, row)| row.is_none());
        Ok(gone.map(|(member, _)| member).collect::<Vec<_>>())
    });
    for (user, room) in gone.await? {
        typing.end(room, &user);
    }
    Ok(())
}

/// What lines of the log tell.
#[derive(Default)]
struct Told {
    news: News,
    /// Users whose place in a room may be another one now.
    moved: HashSet<(OwnedUserId, RoomNo)>,
    /// Users whose devices changed.
    lists: HashSet<OwnedUserId>,
    /// Whose membership events there were, and where.
    members: HashSet<(OwnedUserId, RoomNo)>,
}

impl Told {
    fn happened(&mut self, room: RoomNo, place: Place, deed: Deed) {
        self.news.rooms.insert(room, place);
        self.news.deeds.push((room, place, deed));
    }

    fn line(&mut self, hub: &Hub, place: Place, line: &StoredNews) {
        match line {
            StoredNews::Event { room, event, member } => {
                let deed = if member.is_some() { Deed::Other } else { Deed::Event(*event) };
                self.happened(*room, place, deed);
                self.members.extend(member.iter().map(|user| (user.clone(), *room)));
                let known = member.iter().filter(|user| hub.knows(user));
                self.moved.extend(known.map(|user| (user.clone(), *room)));
            }
            StoredNews::State { room } => {
                self.happened(*room, place, Deed::Other);
                self.moved.extend(hub.known_in(*room).into_iter().map(|user| (user, *room)));
            }
            StoredNews::Receipt { room } => self.happened(*room, place, Deed::Receipt),
            StoredNews::User { user } => {
                self.news.users.insert(user.clone());
            }
            StoredNews::DeviceList { user } => {
                self.lists.insert(user.clone());
            }
            StoredNews::Outbox { .. } => {}
        }
    }
}

/// News, and whose membership events there were.
type Heard = (News, HashSet<(OwnedUserId, RoomNo)>);

fn read(hub: &Hub, snapshot: &Snapshot<'_>, from: &Positions) -> Result<Heard, StorageError> {
    let news = News { to: snapshot.positions()?, ..News::default() };
    let mut told = Told { news, ..Told::default() };
    for (slot, _) in told.news.to.clone().iter() {
        each_since(snapshot, slot, from.get(slot), |place, line| {
            told.line(hub, place, &line);
            true
        })?;
    }
    let Told { mut news, moved, lists, members } = told;
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
    Ok((news, members))
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
