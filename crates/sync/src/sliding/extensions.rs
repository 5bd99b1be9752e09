//! What is wanted beside rooms: messages to the device, keys, account data, receipts, typing.

use std::collections::{BTreeMap, HashMap};

use ruma::{OwnedUserId, RoomId};
use vestibule_rooms::{OpenRoom, StoredMembership};
use vestibule_storage::{Stamp, StorageError};
use vestibule_types::{RoomNo, limits::TO_DEVICE_PER_SYNC_MAX};

use super::{
    lists::{Match, Windows},
    request,
    response::{AccountData, E2ee, InRooms, Room, SlidingResponse, ToDevice},
    slide::Slide,
};
use crate::{
    RawEvent,
    pass::{
        Sight,
        ephemeral::{RECEIPTS, Receipts, TYPING, TypingUsers, event},
    },
};

/// The thread of what is in no other, as receipts name it.
const MAIN_THREAD: &str = "main";

/// A point in the messages to a device, as clients see it.
pub(crate) fn letter_token(at: Stamp) -> String {
    format!("d{}_{}", at.commit, at.index)
}

/// Reads such a point. `None` when it is none of ours.
pub(crate) fn parse_letter_token(text: &str) -> Option<Stamp> {
    let (commit, index) = text.strip_prefix('d')?.split_once('_')?;
    let stamp = Stamp { commit: commit.parse().ok()?, index: index.parse().ok()? };
    // There is one way to write it.
    (letter_token(stamp) == text).then_some(stamp)
}

impl Slide<'_> {
    /// Adds what is wanted beside rooms.
    pub(crate) fn extend(
        &self,
        windows: &Windows,
        response: &mut SlidingResponse,
    ) -> Result<(), StorageError> {
        let wanted = &self.ask.request.extensions;
        if wanted.to_device.enabled.unwrap_or_default() {
            response.extensions.to_device = Some(self.letters(&wanted.to_device)?);
        }
        if wanted.e2ee.enabled.unwrap_or_default() {
            let rooms: Vec<_> = self.changed.values().cloned().collect();
            let device_lists = self.pass.device_lists(&rooms)?;
            let key_counts = self.pass.key_counts()?;
            response.extensions.e2ee = Some(E2ee { device_lists, key_counts });
        }
        if wanted.account_data.is_on() {
            let data = self.account_data(windows, response)?;
            response.extensions.account_data = Some(data);
        }
        if wanted.receipts.is_on() {
            let receipts = self.receipts(windows, response)?;
            response.extensions.receipts = Some(receipts);
        }
        if wanted.typing.is_on() {
            let typing = self.typing(windows, response)?;
            response.extensions.typing = Some(typing);
        }
        Ok(())
    }

    fn letters(&self, wanted: &request::ToDevice) -> Result<ToDevice, StorageError> {
        let limit = wanted.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(TO_DEVICE_PER_SYNC_MAX);
        let (events, reaches) = self.pass.letters(self.has().unwrap_or_default(), limit)?;
        Ok(ToDevice { next_batch: letter_token(reaches), events })
    }

    fn account_data(
        &self,
        windows: &Windows,
        response: &SlidingResponse,
    ) -> Result<AccountData, StorageError> {
        let wanted = &self.ask.request.extensions.account_data;
        let global = self.pass.global_account_data(&self.own)?;
        let mut rooms = BTreeMap::new();
        for (id, begins) in self.rooms_for(wanted, windows, response) {
            if begins || self.own.rooms().any(|own| own == id) {
                let data = self.pass.room_account_data(id, &self.own, begins)?;
                if !data.is_empty() {
                    rooms.insert(id.to_owned(), data);
                }
            }
        }
        Ok(AccountData { global, rooms })
    }

    fn receipts(
        &self,
        windows: &Windows,
        response: &SlidingResponse,
    ) -> Result<InRooms, StorageError> {
        let wanted = &self.ask.request.extensions.receipts;
        let mut told = InRooms::default();
        for (id, begins) in self.rooms_for(wanted, windows, response) {
            let room = response.rooms.get(id);
            if !begins && !self.changed.contains_key(id) && !room.is_some_and(|it| it.expanded) {
                continue;
            }
            let content = self.receipts_in(id, room)?;
            if !content.is_empty() {
                told.rooms.extend(event(RECEIPTS, content).map(|it| (id.to_owned(), it)));
            }
        }
        Ok(told)
    }

    /// The receipts that the client of a room lacks: those since it was last told of it, and those
    /// at events that it is shown for the first time (MSC3960).
    fn receipts_in(&self, id: &RoomId, told: Option<&Room>) -> Result<Receipts, StorageError> {
        let Some((room, _)) = self.joined_room(id)? else { return Ok(Receipts::new()) };
        let sight = Sight::new(self.pass, &room)?;
        let begins = told.is_some_and(|room| room.initial.is_some());
        let sent = self.connection.room(id).filter(|sent| !sent.stripped && !begins);
        let since = sent.and_then(|sent| match sent.until {
            Some((room, _)) => Some(room),
            None => self.pass.since_of(&room),
        });
        let mut content = Receipts::new();
        if since.is_none() || told.is_some_and(|room| room.expanded) {
            let shown = told.map(|room| room.shown.as_slice()).unwrap_or_default();
            content = content_of(&sight, None)?;
            content.retain(|event, by_kind| {
                let own = |readers: &BTreeMap<OwnedUserId, _>| {
                    since.is_none() && readers.contains_key(self.pass.user())
                };
                shown.iter().any(|it| it == event) || by_kind.values().any(own)
            });
        }
        if since.is_some() {
            for (event, newer) in content_of(&sight, since)? {
                content.entry(event).or_insert(newer);
            }
        }
        Ok(content)
    }

    fn typing(
        &self,
        windows: &Windows,
        response: &SlidingResponse,
    ) -> Result<InRooms, StorageError> {
        let wanted = &self.ask.request.extensions.typing;
        let (_, all) = self.pass.inner.rooms.typing().since(0);
        let all: HashMap<RoomNo, Vec<OwnedUserId>> =
            all.into_iter().map(|here| (here.room, here.users)).collect();
        let mut told = InRooms::default();
        if all.is_empty() && self.pass.typing.is_empty() {
            return Ok(told);
        }
        let mut changed: HashMap<ruma::OwnedRoomId, &Vec<OwnedUserId>> = HashMap::new();
        let rooms: Vec<RoomNo> = self.pass.typing.keys().copied().collect();
        for (no, _) in self.pass.memberships(&rooms)? {
            let Some(room) = OpenRoom::load_no(self.pass.snapshot, no)? else { continue };
            changed.extend(self.pass.typing.get(&no).map(|users| (room.room_id, users)));
        }
        for (id, begins) in self.rooms_for(wanted, windows, response) {
            let users = match changed.get(id) {
                Some(users) => Some(*users),
                None if begins => self.joined_room(id)?.and_then(|(room, _)| all.get(&room.no)),
                None => None,
            };
            let Some(users) = users else { continue };
            if self.joined_room(id)?.is_some() {
                let event: Option<RawEvent> = event(TYPING, TypingUsers { user_ids: users });
                told.rooms.extend(event.map(|it| (id.to_owned(), it)));
            }
        }
        Ok(told)
    }

    /// The rooms in which something is wanted, and whether the client begins with the room.
    fn rooms_for<'w>(
        &'w self,
        wanted: &'w request::InRooms,
        windows: &'w Windows,
        response: &'w SlidingResponse,
    ) -> impl Iterator<Item = (&'w RoomId, bool)> {
        let takes = |id: &RoomId, found: &Match| {
            found.lists.iter().any(|list| wanted.takes_list(list))
                || (found.subscribed && wanted.takes_room(id.as_str()))
        };
        let rooms = windows.rooms.iter().filter(move |(id, found)| takes(id, found));
        rooms.filter_map(|(id, _)| {
            let sent = self.connection.room(id);
            match sent.filter(|sent| sent.until.is_none() && !sent.stripped) {
                Some(_) => Some((&**id, false)),
                // What is not in this answer is for a later one.
                None => {
                    (sent.is_some() || response.rooms.contains_key(id)).then_some((&**id, true))
                }
            }
        })
    }

    fn joined_room(
        &self,
        id: &RoomId,
    ) -> Result<Option<(OpenRoom, StoredMembership)>, StorageError> {
        let found = self.open(id)?.map(|(room, member)| (room, member.value.membership));
        Ok(found.filter(|(_, membership)| *membership == StoredMembership::Join))
    }
}

/// The receipts after a commit in the one content that a room has here. Of two that somebody has at
/// one event, of different threads, the one that says more: read in all threads, in the main one.
fn content_of(sight: &Sight<'_>, since: Option<u64>) -> Result<Receipts, StorageError> {
    let mut changed = sight.changed_receipts(since)?;
    changed.sort_by_key(|receipt| match receipt.thread.as_str() {
        "" => 0,
        MAIN_THREAD => 1,
        _ => 2,
    });
    Ok(sight.receipts(changed)?.into_iter().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_the_messages_is_read_as_it_was_given_out_and_in_no_other_form() {
        let at = Stamp { commit: 7, index: 3 };
        assert_eq!(parse_letter_token(&letter_token(at)), Some(at));
        for text in ["", "d7", "7_3", "d07_3", "d+7_3", "d7_70000"] {
            assert_eq!(parse_letter_token(text), None, "{text}");
        }
    }
}
