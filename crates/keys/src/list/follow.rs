//! Following the published log: what other servers have to be told, and whose list is not kept any
//! more because no room is shared with them.

use std::time::Duration;

use ruma::{OwnedUserId, ServerName, UserId};
use vestibule_accounts::list_change::tell_clients;
use vestibule_rooms::{OpenRoom, RoomView, Rooms};
use vestibule_storage::{
    LogLine, Positions, Scan, SlotNo, Snapshot, Stamp, StorageError, Tx,
    tables::{
        cross_signing::CROSS_SIGNING_KEY,
        device_key::DEVICE_KEY,
        device_list::{
            DEVICE_LIST_FOLLOWED, DEVICE_LIST_NEWS, DEVICE_LIST_VERSION, JOINED_ROOM_BY_USER,
            REMOTE_DEVICE_LIST, StoredDeviceListNews, StoredListChange,
        },
        room::{EVENT_STATE, MEMBER_BY_ROOM, SERVER_BY_ROOM, STREAM, StoredMembership, StoredNews},
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{REMOTE_DEVICES_MAX, ROOM_MEMBERS_LOOKED_AT_MAX},
};

use super::is_tracked;
use crate::Keys;

/// How long to wait after a failed read.
const RETRY: Duration = Duration::from_secs(1);
/// Lines of the log read together.
const LINES_AT_ONCE: usize = 1_000;
/// Lines after which it is written down how far the log was followed. After a restart so many may
/// be looked at again, which changes nothing.
const LINES_UNTIL_NOTED: usize = 4_096;
/// A user has two cross-signing keys that others see.
const SIGNING_KEYS: usize = 3;

/// How far the log was followed.
struct Cursor {
    at: Positions,
    /// Lines read since that was written down.
    unnoted: usize,
}

/// What a stretch of the log said.
#[derive(Default)]
struct Heard {
    lines: usize,
    /// Whether a device list changed.
    lists: bool,
    /// Membership events.
    moves: Vec<(RoomNo, EventNo, OwnedUserId)>,
    to: Positions,
}

/// What has to be done.
#[derive(Debug)]
enum Duty {
    /// Tell the servers of a room of a user of ours who came in.
    Tell(OwnedUserId, RoomNo),
    /// Forget the keys of a user with whom no room is shared.
    Forget(OwnedUserId),
    /// Fetch a list anew before it is used: updates of it may have been missed.
    Distrust(OwnedUserId),
}

impl Keys {
    /// Begins the background work of this service.
    pub fn start(&self) {
        let keys = self.clone();
        let spawner = self.inner.parts.environment.spawner.clone();
        spawner.spawn("keys.follow", Box::pin(async move { keys.follow().await }));
    }

    async fn follow(&self) {
        let environment = &self.inner.parts.environment;
        let mut published = self.store().watch_for(concerns);
        let mut stopping = environment.spawner.stopping();
        let mut cursor: Option<Cursor> = None;
        loop {
            // Whatever was published before this is in the snapshot read next.
            published.mark_unchanged();
            match self.step(&mut cursor).await {
                // There is more to read.
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot follow the log for device lists");
                    tokio::select! {
                        biased;
                        () = &mut stopping => return,
                        () = environment.clock.sleep(RETRY) => continue,
                    }
                }
            }
            tokio::select! {
                biased;
                () = &mut stopping => return,
                changed = published.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Reads on and does what is to be done. Says whether there may be more to read.
    async fn step(&self, cursor: &mut Option<Cursor>) -> Result<bool, StorageError> {
        let Some(cursor) = cursor else {
            let at = self.followed().await?;
            self.announce().await?;
            *cursor = Some(Cursor { at, unnoted: 0 });
            return Ok(true);
        };
        if self.store().positions() == cursor.at {
            return Ok(false);
        }
        let from = cursor.at.clone();
        let heard = self.store().read(move |read| hear(read, &from)).await?;
        let duties = self.duties(heard.moves).await?;
        let (busy, announce) = (!duties.is_empty(), heard.lists);
        for duty in duties {
            self.discharge(duty).await?;
        }
        if announce || busy {
            self.announce().await?;
        }
        cursor.at = heard.to;
        cursor.unnoted += heard.lines;
        if cursor.unnoted >= LINES_UNTIL_NOTED {
            self.note(&cursor.at).await?;
            cursor.unnoted = 0;
        }
        Ok(heard.lines >= LINES_AT_ONCE)
    }

    /// Where the log was followed to. A log nobody followed yet is followed from its beginning.
    async fn followed(&self) -> Result<Positions, StorageError> {
        let slots = self.store().slots();
        self.store()
            .read(move |read| {
                let rows = DEVICE_LIST_FOLLOWED.multi_get(read, (0..slots).map(|it| (it,)))?;
                Ok(rows.into_iter().map(Option::unwrap_or_default).collect())
            })
            .await
    }

    async fn note(&self, at: &Positions) -> Result<(), StorageError> {
        for (slot, commit) in at.iter() {
            let noted = self.store().write::<_, StorageError, _>(slot, move |tx| {
                DEVICE_LIST_FOLLOWED.put(tx, (slot.0,), &commit)
            });
            noted.await?;
        }
        Ok(())
    }

    async fn duties(
        &self,
        moves: Vec<(RoomNo, EventNo, OwnedUserId)>,
    ) -> Result<Vec<Duty>, StorageError> {
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        let (here, rooms) = (self.server_name().to_owned(), self.inner.parts.rooms.clone());
        self.store()
            .read(move |read| {
                let mut duties = Vec::new();
                for (room, event, user) in moves {
                    let watch = Watch { read, rooms: &rooms, here: &here };
                    watch.look(room, event, &user, &mut duties)?;
                }
                Ok(duties)
            })
            .await
    }

    async fn discharge(&self, duty: Duty) -> Result<(), StorageError> {
        let here = self.server_name().to_owned();
        match duty {
            Duty::Tell(user, room) => {
                let owner = user.clone();
                self.write(&user, move |tx| {
                    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
                    let change = StoredListChange::CameInto { room };
                    let news = StoredDeviceListNews { user: owner.clone(), change };
                    DEVICE_LIST_NEWS.put(tx, (slot, stamp), &news)
                })
                .await
            }
            Duty::Forget(user) => {
                let owner = user.clone();
                self.write(&user, move |tx| forget(tx, &here, &owner)).await
            }
            Duty::Distrust(user) => {
                let owner = user.clone();
                self.write(&user, move |tx| {
                    let Some(mut list) = REMOTE_DEVICE_LIST.get(tx, (&owner,))? else {
                        return Ok(());
                    };
                    list.fresh = false;
                    REMOTE_DEVICE_LIST.put(tx, (&owner,), &list)?;
                    // Whoever asked before this was told what may be out of date.
                    tell_clients(tx, &owner)
                })
                .await
            }
        }
    }
}

/// Whether a line of the log may leave something to do.
fn concerns(line: &LogLine) -> bool {
    matches!(*line.news, StoredNews::Event { member: Some(_), .. } | StoredNews::DeviceList { .. })
}

fn hear(read: &Snapshot<'_>, from: &Positions) -> Result<Heard, StorageError> {
    use std::ops::ControlFlow::{Break, Continue};
    let mut heard = Heard { to: read.positions()?, ..Heard::default() };
    let ends: Vec<(SlotNo, u64)> = heard.to.iter().collect();
    for (slot, _) in ends {
        let after = from.get(slot);
        let mut reached = after;
        let mut cut = false;
        let lines = Scan::prefix((slot.0,)).after((slot.0, Stamp::end_of(after)));
        STREAM.each(read, lines, |(_, stamp), line| {
            // A commit is read as a whole, or not at all.
            if heard.lines >= LINES_AT_ONCE && stamp.commit > reached {
                cut = true;
                return Break(());
            }
            reached = stamp.commit;
            heard.lines += 1;
            match line {
                StoredNews::Event { room, event, member: Some(user) } => {
                    heard.moves.push((room, event, user));
                }
                StoredNews::DeviceList { .. } => heard.lists = true,
                _ => {}
            }
            Continue(())
        })?;
        if cut {
            heard.to.set(slot, reached);
        }
    }
    Ok(heard)
}

/// Looks at who came and went.
struct Watch<'a> {
    read: &'a Snapshot<'a>,
    rooms: &'a Rooms,
    here: &'a ServerName,
}

impl Watch<'_> {
    fn look(
        &self,
        room: RoomNo,
        event: EventNo,
        user: &OwnedUserId,
        duties: &mut Vec<Duty>,
    ) -> Result<(), StorageError> {
        let is_in = JOINED_ROOM_BY_USER.contains(self.read, (user, room))?;
        if user.server_name() != self.here {
            if REMOTE_DEVICE_LIST.get(self.read, (user,))?.is_none() {
                return Ok(());
            }
            if !is_tracked(self.read, self.here, user)? {
                duties.push(Duty::Forget(user.clone()));
            } else if is_in && self.is_alone(user)? && !self.was_in(room, event, user)? {
                duties.push(Duty::Distrust(user.clone()));
            }
        } else if is_in {
            let has_list = DEVICE_LIST_VERSION.contains(self.read, (user,))?;
            if has_list && !self.was_in(room, event, user)? {
                duties.push(Duty::Tell(user.clone(), room));
            }
        } else if !SERVER_BY_ROOM.contains(self.read, (room, self.here))? {
            self.nobody_here(room, duties)?;
        }
        Ok(())
    }

    /// Whether the user is in one room with us.
    fn is_alone(&self, user: &UserId) -> Result<bool, StorageError> {
        Ok(JOINED_ROOM_BY_USER.scan(self.read, (user,), 2)?.len() < 2)
    }

    /// Whether the user was in the room before this event.
    fn was_in(&self, room: RoomNo, event: EventNo, user: &UserId) -> Result<bool, StorageError> {
        let Some(around) = EVENT_STATE.get(self.read, (room, event))? else { return Ok(false) };
        let Some(room) = OpenRoom::load_no(self.read, room)? else { return Ok(false) };
        let view = RoomView::new(self.rooms, self.read, &room);
        let before = view.state_event_at(around.value.before, "m.room.member", user.as_str())?;
        Ok(before.is_some_and(|it| {
            it.pdu.content_as::<Membership>().is_ok_and(|content| content.membership == "join")
        }))
    }

    /// This server went out of a room: who is there is not followed any more.
    fn nobody_here(&self, room: RoomNo, duties: &mut Vec<Duty>) -> Result<(), StorageError> {
        let joined = (room, StoredMembership::Join.key());
        let members = MEMBER_BY_ROOM.scan(self.read, joined, ROOM_MEMBERS_LOOKED_AT_MAX)?;
        for ((_, _, user), _) in members {
            let known = REMOTE_DEVICE_LIST.contains(self.read, (&user,))?;
            if known && !is_tracked(self.read, self.here, &user)? {
                duties.push(Duty::Forget(user));
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Membership {
    membership: String,
}

/// Forgets the keys of a user of another server, unless a room is shared again by now.
fn forget(tx: &mut Tx<'_>, here: &ServerName, user: &UserId) -> Result<(), StorageError> {
    let known = REMOTE_DEVICE_LIST.contains(tx, (user,))?;
    if !known || is_tracked(&tx.fixed(), here, user)? {
        return Ok(());
    }
    REMOTE_DEVICE_LIST.delete(tx, (user,))?;
    for (key, _) in DEVICE_KEY.scan(tx, (user,), REMOTE_DEVICES_MAX)? {
        DEVICE_KEY.delete(tx, key)?;
    }
    for (key, _) in CROSS_SIGNING_KEY.scan(tx, (user,), SIGNING_KEYS)? {
        CROSS_SIGNING_KEY.delete(tx, key)?;
    }
    Ok(())
}
