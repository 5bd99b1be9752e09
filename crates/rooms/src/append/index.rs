//! What follows from a change of the resolved state: who is in the room, and whose scope it
//! touches. Runs for every change of resolved state, also those no new event made.

use ruma::{EventId, OwnedUserId, ServerName, UserId};
use serde::Deserialize;
use vestibule_events::Pdu;
use vestibule_storage::{
    Stamp, Stamped, StorageError,
    tables::{
        account::ACCOUNT_BY_ID,
        device_list::JOINED_ROOM_BY_USER,
        relation::{AGGREGATED, RELATION_BY_SENDER, RELATION_BY_TYPE},
        room::{
            ANNOTATION, DEPARTURE, JOINS_GUARD, LOCAL_MEMBER_BY_ROOM, MEMBER_BY_ROOM, MEMBER_COUNT,
            RELATION_BY_PARENT, ROOM_BY_MEMBER, ROOM_BY_SERVER, SERVER_BY_ROOM, StoredEventNo,
            StoredMember, StoredMembership, StoredRelation, StoredRoomNo, StoredThreadReply,
            THREAD_REPLY,
        },
        sender::{ROOM_LEFT_BY_SERVER, SERVER_CHANGE, StoredServerChange},
    },
};
use vestibule_types::EventNo;

use super::AppendError;
use crate::{RoomTx, state::StateChange};

#[derive(Deserialize)]
struct MemberContent {
    membership: String,
}

#[derive(Deserialize)]
struct Relating {
    #[serde(rename = "m.relates_to")]
    relates_to: Option<RelatesTo>,
}

#[derive(Deserialize)]
struct RelatesTo {
    rel_type: Option<String>,
    event_id: Option<ruma::OwnedEventId>,
    key: Option<String>,
}

/// The membership an event's content names; anything unknown counts as having left.
pub(crate) fn membership_of(pdu: &Pdu) -> StoredMembership {
    let named = pdu.content_as::<MemberContent>();
    match named.as_ref().map(|content| content.membership.as_str()) {
        Ok("join") => StoredMembership::Join,
        Ok("invite") => StoredMembership::Invite,
        Ok("knock") => StoredMembership::Knock,
        Ok("ban") => StoredMembership::Ban,
        _ => StoredMembership::Leave,
    }
}

/// Whether an invitation or a knock ended without anybody coming in.
fn is_turned_away(old: Option<StoredMembership>, new: Option<StoredMembership>) -> bool {
    matches!(old, Some(StoredMembership::Invite | StoredMembership::Knock))
        && matches!(new, Some(StoredMembership::Leave | StoredMembership::Ban))
}

/// The departure that a row tells of by itself, where it was written before departures were kept.
fn departure_told_by(row: &Stamped<StoredMember>) -> Option<Stamped<StoredEventNo>> {
    let member = &row.value;
    let was_in = member.previous == Some(StoredMembership::Join) && !member.forgotten;
    let left = Stamped { stamp: row.stamp, value: StoredEventNo(member.event) };
    Some(left).filter(|_| was_in && member.membership != StoredMembership::Join)
}

impl RoomTx<'_, '_> {
    /// Follows every changed key of the resolved state.
    pub(crate) fn index_changes(
        &mut self,
        changes: &[StateChange],
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let (mut scope_changed, mut edges_changed) = (false, false);
        for change in changes {
            match change.key.0.as_str() {
                "m.room.member" => scope_changed |= self.index_member(change, stamp)?,
                "m.space.child" => {
                    self.index_space_edge(change)?;
                    edges_changed = true;
                }
                "m.room.guest_access" => self.guest_access_changed(change)?,
                _ => {}
            }
        }
        if edges_changed {
            self.space_edges_changed()?;
        } else if scope_changed {
            self.bump_scope_guard()?;
        }
        Ok(())
    }

    /// What lies below this space changed: who came through it may have to go.
    pub(super) fn space_edges_changed(&mut self) -> Result<(), AppendError> {
        let now = self.rooms.inner.env.now_ms();
        self.scope_changed(now)?;
        Ok(self.bump_scope_guard()?)
    }

    /// Moves one user between memberships. Says whether a host of guests may have come or gone.
    fn index_member(&mut self, change: &StateChange, stamp: Stamp) -> Result<bool, AppendError> {
        let Ok(user) = OwnedUserId::try_from(change.key.1.as_str()) else {
            return Ok(false);
        };
        let room = self.known()?.no;
        let membership = |this: &Self, no: Option<EventNo>| -> Result<_, AppendError> {
            let event = match no {
                Some(no) => this.event(no)?,
                None => None,
            };
            Ok(event.map(|event| membership_of(&event.pdu)))
        };
        let old = membership(self, change.old)?;
        let new = membership(self, change.new)?;

        if let Some(old) = old {
            MEMBER_BY_ROOM.delete(self.tx, (room, old.key(), &user))?;
            if old.key() != new.map_or(u8::MAX, StoredMembership::key) {
                MEMBER_COUNT.add(self.tx, (room, old.key()), -1)?;
            }
        }
        if let (Some(new), Some(no)) = (new, change.new) {
            MEMBER_BY_ROOM.put(self.tx, (room, new.key(), &user), &StoredEventNo(no))?;
            if old.map_or(u8::MAX, StoredMembership::key) != new.key() {
                MEMBER_COUNT.add(self.tx, (room, new.key()), 1)?;
            }
        }
        let joined = |it: Option<StoredMembership>| it == Some(StoredMembership::Join);
        if joined(old) != joined(new) {
            self.index_server(user.server_name(), joined(new), stamp)?;
            self.index_joined_room(&user, joined(new))?;
        }
        if user.server_name() != self.rooms.inner.server_name {
            if is_turned_away(old, new) {
                self.log_turned_away(user.server_name(), stamp)?;
            }
            return Ok(false);
        }
        self.index_local_member(&user, (old, new), change.new, stamp)?;
        if joined(new) && !joined(old) {
            self.guard_joins(&user)?;
        }
        if joined(new) && !joined(old) && self.is_of_the_past(change.new)? {
            // Nobody came in: resolution, or a room that came back, says that they never left. Whether
            // they may be here was not asked.
            let now = self.rooms.inner.env.now_ms();
            self.scope_changed(now)?;
        }
        if joined(old) && !joined(new) {
            self.local_member_went()?;
        }
        Ok(joined(old) != joined(new))
    }

    /// Tells joins to other rooms, of those who may only be in so many, that there is one more.
    fn guard_joins(&mut self, user: &UserId) -> Result<(), AppendError> {
        let account = ACCOUNT_BY_ID.get(&*self.tx, (user,))?;
        let policy = self.rooms.inner.policy.current();
        if account.is_some_and(|account| policy.is_guest_like(&account.class)) {
            let joins = JOINS_GUARD.get(&*self.tx, (user,))?.unwrap_or_default();
            JOINS_GUARD.put(self.tx, (user,), &joins.wrapping_add(1))?;
        }
        Ok(())
    }

    /// Whether an event was here before what is recorded now.
    fn is_of_the_past(&self, event: Option<EventNo>) -> Result<bool, AppendError> {
        let next = self.known()?.head.next_event;
        Ok(event.is_some_and(|event| event.0.saturating_add(1) < next))
    }

    /// Counts a joined member of a server in or out. The room's writer is alone with these rows.
    fn index_server(
        &mut self,
        server: &ServerName,
        joined: bool,
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        let before = SERVER_BY_ROOM.get(&self.tx.fixed(), (room, server))?.unwrap_or_default();
        let now = if joined { before + 1 } else { before.saturating_sub(1) };
        if (before == 0) != (now == 0) && *server != *self.rooms.inner.server_name {
            self.log_server_change(server, joined, stamp)?;
        }
        if now == 0 {
            SERVER_BY_ROOM.delete(self.tx, (room, server))?;
            ROOM_BY_SERVER.delete(self.tx, (server, room))?;
            return Ok(());
        }
        SERVER_BY_ROOM.put(self.tx, (room, server), &now)?;
        if before == 0 {
            ROOM_BY_SERVER.put(self.tx, (server, room), &())?;
        }
        Ok(())
    }

    /// Remembers when another server came or went: it is told what was sent while it was there.
    fn log_server_change(
        &mut self,
        server: &ServerName,
        joined: bool,
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        SERVER_CHANGE.put(self.tx, (room, stamp, server), &StoredServerChange { joined })?;
        if !joined {
            let slot = self.tx.slot().0;
            ROOM_LEFT_BY_SERVER.put(self.tx, (server, slot, stamp), &StoredRoomNo(room))?;
        }
        Ok(())
    }

    /// Remembers when an invitation or a knock of a user of another server ended: should the server
    /// have nobody in the room and be out of reach now, it looks for what it missed here too.
    fn log_turned_away(&mut self, server: &ServerName, stamp: Stamp) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if SERVER_BY_ROOM.contains(&self.tx.fixed(), (room, server))? {
            return Ok(());
        }
        let slot = self.tx.slot().0;
        ROOM_LEFT_BY_SERVER.put(self.tx, (server, slot, stamp), &StoredRoomNo(room))?;
        Ok(())
    }

    /// Notes that somebody of any server came into the room or went.
    fn index_joined_room(&mut self, user: &UserId, joined: bool) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if joined {
            JOINED_ROOM_BY_USER.put(self.tx, (user, room), &())?;
        } else {
            JOINED_ROOM_BY_USER.delete(self.tx, (user, room))?;
        }
        Ok(())
    }

    fn index_local_member(
        &mut self,
        user: &UserId,
        (old, new): (Option<StoredMembership>, Option<StoredMembership>),
        event: Option<EventNo>,
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        // From here on the room itself says what the user is to it.
        if self.knows_outside(user)? {
            self.drop_outside(user)?;
        }
        if let Some(old) = old {
            LOCAL_MEMBER_BY_ROOM.delete(self.tx, (room, old.key(), user))?;
        }
        let (Some(new), Some(event)) = (new, event) else {
            ROOM_BY_MEMBER.delete(self.tx, (user, room))?;
            return Ok(());
        };
        LOCAL_MEMBER_BY_ROOM.put(self.tx, (room, new.key(), user), &())?;
        let before = ROOM_BY_MEMBER.get(&self.tx.fixed(), (user, room))?;
        let joined = |it: Option<StoredMembership>| it == Some(StoredMembership::Join);
        if joined(old) && !joined(Some(new)) {
            DEPARTURE.put(
                self.tx,
                (user, room),
                &Stamped { stamp, value: StoredEventNo(event) },
            )?;
        } else if let Some(left) = before.as_ref().and_then(departure_told_by)
            && !DEPARTURE.contains(&self.tx.fixed(), (user, room))?
        {
            DEPARTURE.put(self.tx, (user, room), &left)?;
        }
        let stays = old == Some(new);
        let row = StoredMember {
            membership: new,
            event,
            previous: if stays { before.as_ref().and_then(|row| row.value.previous) } else { old },
            forgotten: false,
            frozen_at: before.filter(|_| stays).and_then(|row| row.value.frozen_at),
        };
        ROOM_BY_MEMBER.put(self.tx, (user, room), &Stamped { stamp, value: row })?;
        Ok(())
    }

    /// Remembers what an event relates to, and what it redacts.
    pub(super) fn index_relations(
        &mut self,
        pdu: &Pdu,
        no: EventNo,
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if let Some(target) = pdu.redacts() {
            return self.redact_or_wait(pdu, no, target);
        }
        if pdu.state_key().is_some() {
            return Ok(());
        }
        let Ok(Relating { relates_to: Some(relation) }) = pdu.content_as::<Relating>() else {
            return Ok(());
        };
        let (Some(rel_type), Some(parent)) = (relation.rel_type, relation.event_id) else {
            return Ok(());
        };
        if rel_type == "m.annotation"
            && let Some(key) = relation.key
        {
            let kind = pdu.kind().to_owned();
            ANNOTATION.put(
                self.tx,
                (room, &parent, pdu.sender(), kind, key),
                &StoredEventNo(no),
            )?;
        }
        if rel_type == "m.thread" {
            let reply = StoredThreadReply { root: parent.clone(), event: no };
            THREAD_REPLY.put(self.tx, (room, stamp), &reply)?;
        }
        self.index_aggregated(&parent, &rel_type)?;
        RELATION_BY_TYPE.put(self.tx, (room, &parent, &rel_type, stamp), &StoredEventNo(no))?;
        let of_sender = (room, &parent, &rel_type, pdu.sender(), stamp);
        RELATION_BY_SENDER.put(self.tx, of_sender, &StoredEventNo(no))?;
        let row = StoredRelation { rel_type, event: no };
        RELATION_BY_PARENT.put(self.tx, (room, &parent, stamp), &row)?;
        Ok(())
    }

    /// Forgets what an event relates to. That its parent was related to is still known: it only makes reading look.
    pub(crate) fn unindex_relations(
        &mut self,
        pdu: &Pdu,
        no: EventNo,
        stamp: Stamp,
    ) -> Result<(), StorageError> {
        let Ok(room) = self.known() else { return Ok(()) };
        let room = room.no;
        let Ok(Relating { relates_to: Some(relation) }) = pdu.content_as::<Relating>() else {
            return Ok(());
        };
        let (Some(rel_type), Some(parent)) = (relation.rel_type, relation.event_id) else {
            return Ok(());
        };
        if let Some(key) = relation.key {
            let given = (room, &parent, pdu.sender(), pdu.kind(), key.as_str());
            if ANNOTATION.get(&self.tx.fixed(), given)?.is_some_and(|row| row.0 == no) {
                ANNOTATION.delete(self.tx, given)?;
            }
        }
        if rel_type == "m.thread" {
            THREAD_REPLY.delete(self.tx, (room, stamp))?;
        }
        RELATION_BY_TYPE.delete(self.tx, (room, &parent, &rel_type, stamp))?;
        RELATION_BY_SENDER.delete(self.tx, (room, &parent, &rel_type, pdu.sender(), stamp))?;
        RELATION_BY_PARENT.delete(self.tx, (room, &parent, stamp))
    }

    /// Marks an event as one that relations lead to, so that others cost nothing when they are read.
    fn index_aggregated(&mut self, parent: &EventId, rel_type: &str) -> Result<(), AppendError> {
        let key = (self.known()?.no, parent);
        let before = AGGREGATED.get(&self.tx.fixed(), key)?.unwrap_or_default();
        let mut now = before;
        match rel_type {
            "m.thread" => now.thread = true,
            "m.replace" => now.replaced = true,
            "m.reference" => now.referenced = true,
            _ => {}
        }
        if now != before {
            AGGREGATED.put(self.tx, key, &now)?;
        }
        Ok(())
    }
}
