//! One pass: what is new, on one snapshot.

pub(crate) mod account_data;
mod changes;
mod device_lists;
pub(crate) mod ephemeral;
mod invited;
mod joined;
mod key_counts;
pub(crate) mod left;
mod outside;
pub(crate) mod presence;
pub(crate) mod state;
mod summary;
pub(crate) mod timeline;
pub(crate) mod to_device;
pub(crate) mod unread;

pub(crate) use self::timeline::Events as TimelineEvents;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, PduError};
use vestibule_push::{Looks, Own};
use vestibule_rooms::{LoggedEvent, OpenRoom, RoomView, Showing, ShownEvents, Viewer};
use vestibule_storage::{
    Positions, Scan, Snapshot, Stamped, StorageError,
    tables::room::{ROOM_BY_MEMBER, StoredMember, StoredMembership},
};
use vestibule_types::{Actor, RoomNo};

use crate::{
    DeviceLists, SyncResponse, SyncToken, filter::SyncFilter, glance::Carried, response::RawEvent,
    service::Inner,
};

/// What is asked of a pass.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) actor: Actor,
    pub(crate) filter: Arc<SyncFilter>,
    pub(crate) since: Option<SyncToken>,
    pub(crate) full_state: bool,
    pub(crate) use_state_after: bool,
    pub(crate) now: MilliSecondsSinceUnixEpoch,
}

impl Query {
    /// The second it is: events tell their age.
    pub(crate) fn second(&self) -> u64 {
        u64::from(self.now.get()) / 1_000
    }
}

/// A pass under way.
pub(crate) struct Pass<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) snapshot: &'a Snapshot<'a>,
    pub(crate) query: &'a Query,
    /// What the client has been told.
    pub(crate) since: Option<SyncToken>,
    /// What the snapshot shows.
    pub(crate) now: Positions,
    /// Who is typing in the rooms where that changed.
    pub(crate) typing: HashMap<RoomNo, Vec<OwnedUserId>>,
    /// What the user said about being told.
    pub(crate) own: Arc<Own>,
    /// How much may still be looked at to count what is unread.
    pub(crate) looks: Looks,
}

/// Everything new for a user.
pub(crate) fn run(
    inner: &Inner,
    snapshot: &Snapshot<'_>,
    query: &Query,
) -> Result<SyncResponse, StorageError> {
    let (pass, last_typing) = Pass::new(inner, snapshot, query)?;
    if let Some(device) = query.actor.device_id().filter(|_| pass.since.is_none()) {
        inner.shown.of(pass.user(), device).begin_all();
    }

    let own = pass.own_changes()?;
    let mut response = SyncResponse::default();
    response.account_data.events = pass.global_account_data(&own)?;
    let rooms = pass.rooms_to_look_at(&own)?;
    for (room, member) in &rooms {
        if query.filter.admits_room(&room.room_id) {
            pass.look_at(room, member, &own, &mut response)?;
        }
    }
    pass.outside(&mut response)?;
    response.device_lists = pass.device_lists(&rooms)?;
    response.key_counts = pass.key_counts()?;
    let (letters, to_device) = pass.to_device()?;
    response.to_device.events = letters;
    response.acknowledged = if pass.has_acknowledged()? {
        pass.since.as_ref().map(|since| since.to_device)
    } else {
        None
    };
    pass.carry(&response);
    let (present, last_presence) = pass.presence(&response.device_lists.changed)?;
    response.presence.events = present;
    let token =
        SyncToken { positions: pass.now, typing: last_typing, to_device, presence: last_presence };
    response.next_batch = token.to_string();
    Ok(response)
}

/// Whose devices changed, and nothing else.
pub(crate) fn key_changes(
    inner: &Inner,
    snapshot: &Snapshot<'_>,
    query: &Query,
) -> Result<DeviceLists, StorageError> {
    let (pass, _) = Pass::new(inner, snapshot, query)?;
    let rooms = pass.rooms_to_look_at(&account_data::OwnChanges::default())?;
    pass.device_lists(&rooms)
}

impl<'a> Pass<'a> {
    /// A pass, and the last notice of typing it tells.
    pub(crate) fn new(
        inner: &'a Inner,
        snapshot: &'a Snapshot<'a>,
        query: &'a Query,
    ) -> Result<(Self, u64), StorageError> {
        let now = snapshot.positions()?;
        let own_slot = inner.rooms.store().slot_of_user(query.actor.user_id());
        let since = query.since.clone().map(|since| since.at_most(&now, own_slot));
        let own = inner.unread.own(snapshot, query.actor.user_id())?;
        let seen = since.as_ref().map_or(0, |since| since.typing);
        let (last_typing, typing) = inner.rooms.typing().since(seen);
        let typing = typing.into_iter().map(|here| (here.room, here.users)).collect();
        let looks = Looks::default();
        Ok((Self { inner, snapshot, query, since, now, typing, own, looks }, last_typing))
    }
}

impl Pass<'_> {
    pub(crate) fn user(&self) -> &UserId {
        self.query.actor.user_id()
    }

    /// Whose messages the user does not want to see.
    pub(crate) fn ignored(&self) -> &HashSet<OwnedUserId> {
        self.own.ignored()
    }

    /// Keeps for the next sync of the device what this one found, unless messages are stored for it.
    fn carry(&self, response: &SyncResponse) {
        let stored = !response.to_device.events.is_empty() || response.acknowledged.is_some();
        let Some(device) = self.query.actor.device_id().filter(|_| !stored) else { return };
        let carried = Carried::new(Arc::clone(&self.own), &response.key_counts);
        self.inner.hub.carry((self.user(), device), &self.now, carried);
    }

    /// The commit up to which the client knows this room; `None` when it knows nothing.
    pub(crate) fn since_of(&self, room: &OpenRoom) -> Option<u64> {
        let slot = self.inner.rooms.store().slot_of_room(&room.room_id);
        self.since.as_ref().map(|since| since.positions.get(slot))
    }

    /// The last commit of the room's slot that this pass shows.
    pub(crate) fn now_of(&self, room: &OpenRoom) -> u64 {
        self.now.get(self.inner.rooms.store().slot_of_room(&room.room_id))
    }

    fn look_at(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        own: &account_data::OwnChanges,
        response: &mut SyncResponse,
    ) -> Result<(), StorageError> {
        let id = room.room_id.clone();
        let moved = self.since_of(room).is_none_or(|since| member.stamp.commit > since);
        match member.value.membership {
            StoredMembership::Join => {
                let joined = self.joined(room, member, own)?;
                if !joined.is_empty() || self.since.is_none() || self.query.full_state {
                    response.rooms.join.insert(id, joined);
                }
            }
            StoredMembership::Invite if moved => {
                if let Some(invited) = self.invited(room)? {
                    response.rooms.invite.insert(id, invited);
                }
            }
            StoredMembership::Knock if moved => {
                response.rooms.knock.insert(id, self.knocked(room)?);
            }
            StoredMembership::Leave | StoredMembership::Ban => {
                if let Some(left) = self.left(room, member, own)? {
                    response.rooms.leave.insert(id, left);
                }
            }
            StoredMembership::Invite | StoredMembership::Knock => {}
        }
        Ok(())
    }

    /// The memberships of the user in some rooms.
    pub(crate) fn memberships(
        &self,
        rooms: &[RoomNo],
    ) -> Result<Vec<(RoomNo, Stamped<StoredMember>)>, StorageError> {
        let keys = rooms.iter().map(|room| (self.user(), *room));
        let rows = ROOM_BY_MEMBER.multi_get(self.snapshot, keys)?;
        Ok(rooms.iter().copied().zip(rows).filter_map(|(room, row)| Some((room, row?))).collect())
    }

    /// All rooms the user ever had to do with.
    pub(crate) fn all_memberships(
        &self,
    ) -> Result<Vec<(RoomNo, Stamped<StoredMember>)>, StorageError> {
        let rows = ROOM_BY_MEMBER.scan_with(self.snapshot, Scan::prefix((self.user(),)))?;
        Ok(rows.into_iter().map(|((_, room), row)| (room, row)).collect())
    }
}

/// A room as the user sees it: what the sections of an answer are made from.
pub(crate) struct Sight<'b> {
    pub(crate) pass: &'b Pass<'b>,
    pub(crate) view: RoomView<'b, &'b Snapshot<'b>>,
    pub(crate) viewer: Viewer,
}

impl<'b> Sight<'b> {
    pub(crate) fn new(pass: &'b Pass<'b>, room: &'b OpenRoom) -> Result<Self, StorageError> {
        let view = RoomView::new(&pass.inner.rooms, pass.snapshot, room);
        let viewer = Viewer::new(&view, pass.user())?;
        Ok(Self { pass, view, viewer })
    }

    /// An event as this client wants it.
    pub(crate) fn show(&mut self, event: &LoggedEvent) -> Result<RawEvent, StorageError> {
        if self.pass.query.filter.federation_format {
            return self.view.show_federated(&mut self.viewer, event);
        }
        let showing = self.showing();
        self.view.show(&mut self.viewer, event, showing)
    }

    /// Events as this client wants them, each with what relates to it.
    pub(crate) fn show_all(&mut self, events: &[LoggedEvent]) -> Result<ShownEvents, StorageError> {
        if self.pass.query.filter.federation_format {
            let viewer = &mut self.viewer;
            let json = events.iter().map(|event| self.view.show_federated(viewer, event));
            let events = json.collect::<Result<_, _>>()?;
            return Ok(ShownEvents { events, bundled: false });
        }
        let showing = self.showing();
        self.view.show_all(&mut self.viewer, events, showing)
    }

    fn showing(&self) -> Showing<'b> {
        Showing {
            actor: Some(&self.pass.query.actor),
            with_room_id: false,
            now: self.pass.query.now,
        }
    }
}

#[derive(serde::Deserialize)]
struct Membership<'a> {
    #[serde(borrow)]
    membership: std::borrow::Cow<'a, str>,
}

/// Whether a membership event says that its user is in the room.
pub(crate) fn says_joined(event: &Pdu) -> bool {
    event.content_as::<Membership<'_>>().is_ok_and(|content| content.membership == "join")
}

pub(crate) fn damaged(error: &PduError) -> StorageError {
    StorageError::corrupt("event_by_no", error)
}

/// `{"type": .., "content": ..}` out of a content that is JSON already.
pub(crate) fn bare_event(kind: &str, content: &str) -> Option<RawEvent> {
    #[derive(serde::Serialize)]
    struct Bare<'a> {
        r#type: &'a str,
        content: &'a RawValue,
    }
    let content = serde_json::from_str::<&RawValue>(content).ok()?;
    serde_json::value::to_raw_value(&Bare { r#type: kind, content }).ok()
}
