//! Telling other servers who types. It is not kept: who is out of reach is not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ruma::{OwnedServerName, OwnedUserId};
use vestibule_rooms::Typing;
use vestibule_storage::{Stamp, StorageError, tables::room::ROOM_BY_NO};
use vestibule_types::{RoomNo, limits::TYPING_REPEAT};

use super::{Sender, servers::Servers};

/// Our users who type, as others were told.
pub(super) struct Typists {
    seen: u64,
    rooms: BTreeMap<RoomNo, BTreeSet<OwnedUserId>>,
    /// When those who still type are named again: a server that hears nothing more forgets them.
    repeat_at: Option<Duration>,
}

/// Later than every stamp of a row.
pub(super) const NOW: Stamp = Stamp { commit: u64::MAX, index: u16::MAX };

impl Typists {
    pub(super) fn new(typing: &Typing) -> Self {
        let (seen, _) = typing.since(u64::MAX);
        Self { seen, rooms: BTreeMap::new(), repeat_at: None }
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
        let now = sender.parts().environment.clock.monotonic();
        let mut changes = self.changes(sender);
        if self.repeat_at.is_some_and(|at| at <= now) {
            for (room, users) in &self.rooms {
                changes.extend(users.iter().map(|user| (*room, user.clone(), true)));
            }
            self.repeat_at = None;
        }
        if self.rooms.is_empty() {
            self.repeat_at = None;
        } else {
            self.repeat_at.get_or_insert(now.saturating_add(TYPING_REPEAT));
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let rooms: BTreeSet<RoomNo> = changes.iter().map(|(room, _, _)| *room).collect();
        let reading = sender.clone();
        let read = sender.parts().store.read::<_, StorageError, _>(move |snapshot| {
            let mut found: BTreeMap<RoomNo, (ruma::OwnedRoomId, Servers)> = BTreeMap::new();
            for room in rooms {
                let servers = reading.servers().at(snapshot, room, NOW)?;
                let Some(row) = ROOM_BY_NO.get(snapshot, (room,))? else { continue };
                if !servers.is_empty() {
                    found.insert(room, (row.room_id, servers));
                }
            }
            Ok(found)
        });
        let found = read.await?;
        let mut start = Vec::new();
        for (room, user, types) in changes {
            let Some((room_id, servers)) = found.get(&room) else { continue };
            start.extend(sender.hub().typing(servers, &(room_id.clone(), user), types));
        }
        Ok(start)
    }

    /// Which of our users began and which stopped.
    fn changes(&mut self, sender: &Sender) -> Vec<(RoomNo, OwnedUserId, bool)> {
        let us = &sender.parts().server_name;
        let (seen, rooms) = sender.parts().rooms.typing().since(self.seen.max(1));
        self.seen = seen;
        let mut changes = Vec::new();
        for here in rooms {
            let users = here.users.into_iter().filter(|user| user.server_name() == us);
            let now: BTreeSet<OwnedUserId> = users.collect();
            let before = self.rooms.remove(&here.room).unwrap_or_default();
            let began = now.difference(&before).map(|user| (here.room, user.clone(), true));
            changes.extend(began);
            let ended = before.difference(&now).map(|user| (here.room, user.clone(), false));
            changes.extend(ended);
            if !now.is_empty() {
                self.rooms.insert(here.room, now);
            }
        }
        changes
    }
}
