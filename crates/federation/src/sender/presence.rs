//! Telling other servers which of our users are there. It is not kept: who is out of reach is not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ruma::{OwnedServerName, OwnedUserId};
use vestibule_rooms::{Availability, Presence};
use vestibule_storage::{
    Snapshot, Stamp, StorageError,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{LOCAL_MEMBER_BY_ROOM, StoredMembership, StoredNews},
    },
};
use vestibule_types::{
    RoomNo,
    limits::{PRESENCE_AT_ONCE, PRESENCE_REPEAT, PRESENCE_ROOMS_MAX, PRESENCE_WAITING_MAX},
};

use super::{Sender, servers::changes_since, typing::NOW};

/// Somebody whose membership of a room changed.
#[derive(Debug)]
pub(super) struct Arrival {
    room: RoomNo,
    user: OwnedUserId,
    at: Stamp,
}

impl Arrival {
    /// What a line of the log says of one.
    pub(super) fn of(at: Stamp, line: &StoredNews) -> Option<Self> {
        match line {
            StoredNews::Event { room, member: Some(user), .. } => {
                Some(Self { room: *room, user: user.clone(), at })
            }
            _ => None,
        }
    }
}

/// What others were told of our users.
pub(super) struct Present {
    seen: u64,
    /// Those who are there, as others were told.
    there: BTreeSet<OwnedUserId>,
    /// When they are named again: a server that hears nothing more takes them for gone.
    repeat_at: Option<Duration>,
}

impl Present {
    pub(super) fn new(presence: &Presence) -> Self {
        Self { seen: presence.last(), there: BTreeSet::new(), repeat_at: None }
    }

    /// When there is something to do without any change.
    pub(super) fn next(&self) -> Option<Duration> {
        self.repeat_at
    }

    /// Tells what changed. Returns the servers that now need a task.
    pub(super) async fn tell(
        &mut self,
        sender: &Sender,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let presence = sender.parts().rooms.presence();
        if !presence.config().send {
            self.seen = presence.last();
            return Ok(Vec::new());
        }
        let users = self.news(sender, presence);
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let reading = sender.clone();
        let read = sender.parts().store.read::<_, StorageError, _>(move |snapshot| {
            let mut found: BTreeMap<OwnedUserId, BTreeSet<OwnedServerName>> = BTreeMap::new();
            for user in users {
                let servers = servers_of(&reading, snapshot, &user, None)?;
                found.insert(user, servers);
            }
            Ok(found)
        });
        let mut start = Vec::new();
        for (user, servers) in read.await? {
            start.extend(sender.hub().presence(&servers, &user));
        }
        Ok(start)
    }

    /// Tells servers that came into a room, or into whose room somebody came, who is there: they do not
    /// wait until everybody is named again. Returns the servers that now need a task.
    pub(super) async fn greet(
        &self,
        sender: &Sender,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let us = sender.parts().server_name.clone();
        let sends = sender.parts().rooms.presence().config().send && !self.there.is_empty();
        let is_here = |user: &OwnedUserId| user.server_name() != us || self.there.contains(user);
        let arrivals: Vec<Arrival> =
            arrivals.into_iter().filter(|it| sends && is_here(&it.user)).collect();
        if arrivals.is_empty() {
            return Ok(Vec::new());
        }
        let reading = sender.clone();
        let read = sender.parts().store.read::<_, StorageError, _>(move |snapshot| {
            let greetings = arrivals.into_iter().map(|arrival| {
                if arrival.user.server_name() == us {
                    new_servers_of(&reading, snapshot, &arrival)
                } else {
                    whom_a_server_meets(snapshot, &arrival)
                }
            });
            greetings.collect::<Result<Vec<_>, _>>()
        });
        let mut start = Vec::new();
        for (servers, users) in read.await? {
            for user in users.iter().filter(|user| self.there.contains(*user)) {
                start.extend(sender.hub().presence(&servers, user));
            }
        }
        Ok(start)
    }

    /// Those of our users of whom others are to be told now.
    fn news(&mut self, sender: &Sender, presence: &Presence) -> BTreeSet<OwnedUserId> {
        let (us, now) = (&sender.parts().server_name, sender.parts().environment.clock.monotonic());
        let mut users = BTreeSet::new();
        loop {
            let (last, changed) = presence.since(self.seen.max(1), PRESENCE_AT_ONCE);
            for person in changed.into_iter().filter(|it| it.user_id.server_name() == us) {
                if person.state == Availability::Offline {
                    self.there.remove(&person.user_id);
                } else {
                    self.there.insert(person.user_id.clone());
                }
                users.insert(person.user_id);
            }
            if last == self.seen {
                break;
            }
            self.seen = last;
        }
        if self.repeat_at.is_some_and(|at| at <= now) {
            users.extend(self.there.iter().cloned());
            self.repeat_at = None;
        }
        if self.there.is_empty() {
            self.repeat_at = None;
        } else {
            self.repeat_at.get_or_insert(now.saturating_add(PRESENCE_REPEAT));
        }
        users
    }
}

/// Servers, and users of ours whom they may not know to be there.
type Greeting = (BTreeSet<OwnedServerName>, Vec<OwnedUserId>);

/// The servers with which a user of ours who is in a room shares no other one.
fn new_servers_of(
    sender: &Sender,
    snapshot: &Snapshot<'_>,
    Arrival { room, user, .. }: &Arrival,
) -> Result<Greeting, StorageError> {
    if !JOINED_ROOM_BY_USER.contains(snapshot, (user, *room))? {
        return Ok(Greeting::default());
    }
    let known = servers_of(sender, snapshot, user, Some(*room))?;
    let there = sender.servers().at(snapshot, *room, NOW)?;
    let new = there.iter().filter(|server| !known.contains(*server)).cloned();
    Ok((new.collect(), vec![user.clone()]))
}

/// If a server came into a room with its user: our users there.
fn whom_a_server_meets(
    snapshot: &Snapshot<'_>,
    Arrival { room, user, at }: &Arrival,
) -> Result<Greeting, StorageError> {
    let server = user.server_name();
    let begin = Stamp { commit: at.commit, index: 0 };
    let changes = changes_since(snapshot, *room, begin)?.into_iter();
    let mut with_this = changes.take_while(|((_, changed, _), _)| changed.commit == at.commit);
    if !with_this.any(|((_, _, who), change)| who == server && change.joined) {
        return Ok(Greeting::default());
    }
    let joined = (*room, StoredMembership::Join.key());
    let members = LOCAL_MEMBER_BY_ROOM.scan(snapshot, joined, PRESENCE_WAITING_MAX)?;
    let users = members.into_iter().map(|((_, _, user), ())| user).collect();
    Ok(([server.to_owned()].into(), users))
}

/// The servers of those who share a room with a user, but for one of the rooms.
fn servers_of(
    sender: &Sender,
    snapshot: &Snapshot<'_>,
    user: &OwnedUserId,
    but: Option<RoomNo>,
) -> Result<BTreeSet<OwnedServerName>, StorageError> {
    let mut servers = BTreeSet::new();
    let rooms = JOINED_ROOM_BY_USER.scan(snapshot, (user,), PRESENCE_ROOMS_MAX)?;
    for ((_, room), ()) in rooms.into_iter().filter(|((_, room), ())| Some(*room) != but) {
        servers.extend(sender.servers().at(snapshot, room, NOW)?.iter().cloned());
    }
    Ok(servers)
}
