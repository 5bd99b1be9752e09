//! Which rooms are worth looking at.
//!
//! Between two syncs little happens, so first the log is asked: what it says since the token, each
//! room asked once whether the user has to do with it. When the log is long because others were
//! busy, what is known in memory of the user's rooms is asked instead. Only a token from before
//! this process began makes a sync go through all rooms.

use std::collections::BTreeSet;

use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Scan, Stamped, StorageError,
    tables::room::{
        RECEIPT_BY_POSITION, ROOM_BY_NO, ROOM_NO_BY_ID, ROOM_POSITION, StoredMember,
        StoredMembership, StoredNews,
    },
};
use vestibule_types::{RoomNo, limits::SYNC_NEWS_MAX};

use super::{Pass, account_data::OwnChanges};
use crate::{
    SyncToken,
    tail::{self, each_since},
};

type Found = Vec<(OpenRoom, Stamped<StoredMember>)>;

impl Pass<'_> {
    /// The rooms that may have something to show, with what the user is to each; also those that a
    /// filter hides, whose members count all the same.
    pub(super) fn rooms_to_look_at(&self, own: &OwnChanges) -> Result<Found, StorageError> {
        self.know_rooms()?;
        let members = match &self.since {
            Some(since) if !self.query.full_state => {
                let mut rooms = self.changed_rooms(since)?;
                rooms.extend(self.typing.keys());
                for room in own.rooms() {
                    rooms.extend(ROOM_NO_BY_ID.get(self.snapshot, (room,))?.map(|row| row.0));
                }
                let rooms: Vec<RoomNo> = rooms.into_iter().collect();
                self.memberships(&rooms)?
            }
            _ => self.all_memberships()?,
        };
        let mut found = Vec::new();
        for (no, member) in members {
            if let Some(room) = OpenRoom::load_no(self.snapshot, no)? {
                found.push((room, member));
            }
        }
        Ok(found)
    }

    /// The rooms in which something changed since a token, those of others among them.
    pub(crate) fn changed_rooms(
        &self,
        since: &SyncToken,
    ) -> Result<BTreeSet<RoomNo>, StorageError> {
        if let Some(rooms) = self.rooms_in_the_log(since, SYNC_NEWS_MAX)? {
            return Ok(rooms);
        }
        // The log may have been followed less far than the snapshot shows; the rest is short.
        let tail = SyncToken { positions: self.inner.hub.tail(), ..SyncToken::default() };
        let mut rooms = self.rooms_in_the_log(&tail, usize::MAX)?.unwrap_or_default();
        match self.inner.hub.changed_rooms(self.user(), &since.positions) {
            Some(known) => rooms.extend(known),
            None => rooms.extend(self.rooms_by_their_positions(since)?),
        }
        Ok(rooms)
    }

    /// The rooms that the log names; `None` when it says more than `lines_max` things.
    fn rooms_in_the_log(
        &self,
        since: &SyncToken,
        lines_max: usize,
    ) -> Result<Option<BTreeSet<RoomNo>>, StorageError> {
        let (mut rooms, mut lines) = (BTreeSet::new(), 0);
        for (slot, _) in self.now.iter() {
            each_since(self.snapshot, slot, since.positions.get(slot), |_, line| {
                match line {
                    StoredNews::Event { room, .. }
                    | StoredNews::State { room }
                    | StoredNews::Receipt { room } => {
                        rooms.insert(room);
                    }
                    StoredNews::User { .. }
                    | StoredNews::Outbox { .. }
                    | StoredNews::DeviceList { .. } => {}
                }
                lines += 1;
                lines <= lines_max
            })?;
            if lines > lines_max {
                return Ok(None);
            }
        }
        Ok(Some(rooms))
    }

    /// Goes through all rooms of the user.
    fn rooms_by_their_positions(&self, since: &SyncToken) -> Result<Vec<RoomNo>, StorageError> {
        let members = self.all_memberships()?;
        let positions =
            ROOM_POSITION.multi_get(self.snapshot, members.iter().map(|(room, _)| (*room,)))?;
        let mut changed = Vec::new();
        for ((no, member), position) in members.into_iter().zip(positions) {
            let Some(room) = ROOM_BY_NO.get(self.snapshot, (no,))? else { continue };
            let slot = self.inner.rooms.store().slot_of_room(&room.room_id);
            let later = |commit: u64| commit > since.positions.get(slot);
            let moved =
                later(member.stamp.commit) || position.is_some_and(|it| later(it.stamp.commit));
            let joined = member.value.membership == StoredMembership::Join;
            if moved || (joined && self.last_receipt(no)?.is_some_and(later)) {
                changed.push(no);
            }
        }
        Ok(changed)
    }

    fn last_receipt(&self, room: RoomNo) -> Result<Option<u64>, StorageError> {
        let newest = Scan::prefix((room,)).reverse().limit(1);
        let rows = RECEIPT_BY_POSITION.scan_with(self.snapshot, newest)?;
        Ok(rows.first().map(|((_, stamp), _)| stamp.commit))
    }

    /// Tells the hub all rooms of the user, once.
    pub(crate) fn know_rooms(&self) -> Result<(), StorageError> {
        let hub = &self.inner.hub;
        if !hub.knows(self.user()) || hub.is_complete(self.user()) {
            return Ok(());
        }
        let store = self.inner.rooms.store();
        let members = self.all_memberships()?;
        let mut known = Vec::with_capacity(members.len());
        for (no, member) in members {
            // With one slot there is nothing to look up.
            let slot = match store.slots() {
                1 => vestibule_storage::SlotNo(0),
                _ => match ROOM_BY_NO.get(self.snapshot, (no,))? {
                    Some(room) => store.slot_of_room(&room.room_id),
                    None => continue,
                },
            };
            known.push((no, tail::member(slot, &member)));
        }
        hub.complete(self.user(), &self.now, known);
        Ok(())
    }
}
