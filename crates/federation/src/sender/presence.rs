//! Telling other servers which of our users are there. It is not kept: who is out of reach is not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ruma::{OwnedServerName, OwnedUserId};
use vestibule_rooms::{Availability, Presence};
use vestibule_storage::{Snapshot, StorageError, tables::device_list::JOINED_ROOM_BY_USER};
use vestibule_types::limits::{PRESENCE_AT_ONCE, PRESENCE_REPEAT, PRESENCE_ROOMS_MAX};

use super::{Sender, typing::NOW};

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
                let servers = servers_of(&reading, snapshot, &user)?;
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

/// The servers of those who share a room with a user.
fn servers_of(
    sender: &Sender,
    snapshot: &Snapshot<'_>,
    user: &OwnedUserId,
) -> Result<BTreeSet<OwnedServerName>, StorageError> {
    let mut servers = BTreeSet::new();
    let rooms = JOINED_ROOM_BY_USER.scan(snapshot, (user,), PRESENCE_ROOMS_MAX)?;
    for ((_, room), ()) in rooms {
        servers.extend(sender.servers().at(snapshot, room, NOW)?.iter().cloned());
    }
    Ok(servers)
}
