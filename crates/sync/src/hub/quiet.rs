//! What is known of users to whom nothing happened but new messages.

use std::sync::Arc;

use ruma::{DeviceId, UserId};
use vestibule_rooms::TypingIn;
use vestibule_storage::{Positions, SlotNo, tables::room::StoredMembership};
use vestibule_types::{RoomNo, limits::CARRIED_DEVICES_MAX};

use super::{Hub, LiveUser, Member, State};
use crate::{glance::Carried, recent::NewLines};

/// All that happened to a user: new events, receipts and typing in rooms they were in all the time.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// Up to where.
    pub(crate) to: Positions,
    /// What the last sync of the device found.
    pub(crate) carried: Arc<Carried>,
    /// The rooms.
    pub(crate) rooms: Vec<QuietRoom>,
}

/// What is new in a room.
#[derive(Debug)]
pub(crate) struct QuietRoom {
    pub(crate) no: RoomNo,
    pub(crate) slot: SlotNo,
    /// The commit since which the user has been in it as they are.
    pub(crate) member: u64,
    pub(crate) new: NewLines,
    /// Who is typing, where that changed.
    pub(crate) typing: Option<TypingIn>,
}

impl Hub {
    /// Keeps what a sync of a device found on a snapshot at `at`, until something of the user's own
    /// changes.
    pub(crate) fn carry(
        &self,
        (user_id, device): (&UserId, &DeviceId),
        at: &Positions,
        carried: Carried,
    ) {
        let mut state = self.state.write();
        let Some(key) = state.keys.get(user_id).copied() else { return };
        let Some(user) = state.users.get_mut(&key).filter(|user| user.complete) else { return };
        if user.own_news.iter().any(|(slot, commit)| commit > at.get(slot)) {
            return;
        }
        user.carried.retain(|(known, _)| known != device);
        if user.carried.len() >= CARRIED_DEVICES_MAX {
            user.carried.remove(0);
        }
        // Most people have one device that waits.
        user.carried.reserve_exact(1);
        user.carried.push((device.to_owned(), Arc::new(carried)));
    }

    /// What happened to a user since a position, if it was nothing but new events and receipts in rooms
    /// they were in all the time, and what their device was told last is known. Of the rooms where
    /// it changed who is typing, theirs.
    pub(crate) fn quiet(
        &self,
        (user_id, device): (&UserId, &DeviceId),
        since: &Positions,
        typing: Vec<TypingIn>,
    ) -> Option<Quiet> {
        let state = self.state.read();
        let user = state.user(user_id).filter(|user| user.complete)?;
        let (_, carried) = user.carried.iter().find(|(known, _)| known == device)?;
        if user.own_news.iter().any(|(slot, commit)| commit > since.get(slot)) {
            return None;
        }
        let ahead = state.tail.iter().any(|(slot, commit)| since.get(slot) > commit);
        if ahead || state.tail.slots() != since.slots() {
            return None;
        }
        let mut rooms = Vec::new();
        for no in user.recent.since(since)? {
            if user.rooms.get(&no)?.membership == StoredMembership::Join {
                rooms.push(state.quiet_room(user, no, since)?);
            } else if !user.has_been_as_they_are(no, since) {
                return None;
            }
        }
        for here in typing {
            let is_in = |it: &Member| it.membership == StoredMembership::Join;
            if !user.rooms.get(&here.room).is_some_and(is_in) {
                continue;
            }
            if let Some(room) = rooms.iter_mut().find(|room| room.no == here.room) {
                room.typing = Some(here);
            } else {
                let room = state.quiet_room(user, here.room, since)?;
                rooms.push(QuietRoom { typing: Some(here), ..room });
            }
        }
        Some(Quiet { to: state.tail.clone(), carried: Arc::clone(carried), rooms })
    }

    /// Whether two users are in a room together. `None` when not all rooms of both are known.
    pub(crate) fn share_room(&self, one: &UserId, other: &UserId) -> Option<bool> {
        let state = self.state.read();
        let of = |user: &UserId| state.user(user).filter(|user| user.complete);
        let (one, other) = (of(one)?, of(other)?);
        let (few, many) =
            if one.rooms.len() <= other.rooms.len() { (one, other) } else { (other, one) };
        let is_in = |user: &LiveUser, room: &RoomNo| {
            user.rooms.get(room).is_some_and(|it| it.membership == StoredMembership::Join)
        };
        Some(few.rooms.keys().any(|room| is_in(few, room) && is_in(many, room)))
    }
}

impl State {
    /// What is new in a room that a user is in, if they were in it all the time.
    fn quiet_room(&self, user: &LiveUser, no: RoomNo, since: &Positions) -> Option<QuietRoom> {
        if !user.has_been_as_they_are(no, since) {
            return None;
        }
        let (slot, member) = user.rooms.get(&no)?.since;
        let new = self.listeners.get(&no)?.lines.since(since, slot)?;
        Some(QuietRoom { no, slot, member, new, typing: None })
    }
}

impl LiveUser {
    /// Whether nothing changed since a position about what a user is to a room.
    fn has_been_as_they_are(&self, no: RoomNo, since: &Positions) -> bool {
        self.rooms.get(&no).is_some_and(|member| member.since.1 <= since.get(member.since.0))
    }
}
