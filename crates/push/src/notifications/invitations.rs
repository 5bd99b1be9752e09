//! The invitations of a user among what they were told of: to rooms that are here, and to others.

use std::sync::Arc;

use ruma::MilliSecondsSinceUnixEpoch;
use vestibule_events::{Pdu, Unsigned, client_event};
use vestibule_rooms::{OpenRoom, OutsideRoom, RoomView, Showing, Viewer, blocks_invites};
use vestibule_storage::{
    Scan, StorageError,
    tables::room::{ROOM_BY_MEMBER, StoredMembership},
};
use vestibule_types::{RoomNo, limits::JOINED_ROOMS_MAX};

use super::{Notification, Place, Walk, known};
use crate::{
    rules::{Occasion, RoomFacts, Whose, display_name, highlights, notifies},
    unread::damaged,
};

type Placed = (Place, Notification);

impl Walk<'_> {
    /// The invitations that stand and that the user's rules want told. Whether one was read is not
    /// known before it is accepted or refused, and then it is none any more.
    pub(super) fn invitations(&self) -> Result<Vec<Placed>, StorageError> {
        let user = self.actor.user_id();
        if blocks_invites(self.snapshot, user)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let scan = Scan::prefix((user,)).limit(JOINED_ROOMS_MAX);
        for ((_, room), row) in ROOM_BY_MEMBER.scan_with(self.snapshot, scan)? {
            if row.value.membership == StoredMembership::Invite {
                found.extend(self.invitation_here(room)?);
            }
        }
        for room in OutsideRoom::all_of(self.snapshot, user)? {
            if room.membership == StoredMembership::Invite {
                found.extend(self.invitation_elsewhere(&room)?);
            }
        }
        Ok(found)
    }

    fn invitation_here(&self, no: RoomNo) -> Result<Option<Placed>, StorageError> {
        let user = self.actor.user_id();
        let Some(open) = OpenRoom::load_no(self.snapshot, no)? else { return Ok(None) };
        let view = RoomView::new(self.rooms, self.snapshot, &open);
        let Some(member) = view.local_member(user)? else { return Ok(None) };
        let Some(event) = view.event(member.value.event)? else { return Ok(None) };
        let name = if self.own.asks_for_name { display_name(&view, user)? } else { None };
        let facts = RoomFacts::of(&view)?;
        let Some(actions) = self.wanted(&event.pdu, facts, name.as_deref())? else {
            return Ok(None);
        };
        let showing = Showing { actor: Some(self.actor), with_room_id: false, now: self.now };
        let notification = Notification {
            actions,
            event: view.show(&mut Viewer::new(&view, user)?, &event, showing)?,
            read: false,
            room_id: open.room_id.clone(),
            at: event.pdu.origin_server_ts(),
        };
        let slot = self.rooms.store().slot_of_room(&open.room_id).0;
        Ok(Some((Place { stamp: member.stamp, slot }, notification)))
    }

    fn invitation_elsewhere(&self, room: &OutsideRoom) -> Result<Option<Placed>, StorageError> {
        // Nothing is known of a room elsewhere.
        let facts = RoomFacts { members: 0, levels: None };
        let Some(actions) = self.wanted(&room.event, facts, None)? else { return Ok(None) };
        let age =
            |then: MilliSecondsSinceUnixEpoch| i64::from(self.now.get()) - i64::from(then.get());
        let at = room.event.origin_server_ts();
        let unsigned = Unsigned { age: Some(age(at)), ..Unsigned::default() };
        let event = client_event(&room.event, false, &unsigned).map_err(|it| damaged(&it))?;
        let room_id = room.room_id.clone();
        let slot = self.rooms.store().slot_of_room(&room_id).0;
        let place = Place { stamp: room.since, slot };
        Ok(Some((place, Notification { actions, event, read: false, room_id, at })))
    }

    /// What the user's rules say about an invitation, if they want it told.
    fn wanted(
        &self,
        event: &Pdu,
        facts: RoomFacts,
        display_name: Option<&str>,
    ) -> Result<Option<Vec<ruma::push::Action>>, StorageError> {
        if self.own.ignored.contains(event.sender()) {
            return Ok(None);
        }
        let occasion = Occasion::new(event, Arc::new(facts)).map_err(|it| damaged(&it))?;
        let whose = Whose { user: self.actor.user_id(), display_name };
        let actions = known(occasion.actions(&self.own.rules.0, whose));
        let wanted = notifies(&actions) && (!self.only_highlights || highlights(&actions));
        Ok(wanted.then_some(actions))
    }
}
