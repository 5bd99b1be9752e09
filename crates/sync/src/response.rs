//! The answer, as it is written.
//!
//! Sections are written even when they are empty: clients differ in which ones they can miss.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_push::UnreadCounts;

/// An event, as JSON.
pub type RawEvent = Box<RawValue>;

/// What is new.
#[derive(Debug, Default, Serialize)]
pub struct SyncResponse {
    /// The token to go on from.
    pub next_batch: String,
    /// Rooms.
    pub rooms: Rooms,
    /// The user's own data that belongs to no room.
    pub account_data: Events,
    /// Who of those the user shares a room with is there.
    pub presence: Events,
    /// Messages to this device.
    pub to_device: Events,
    /// Up to where the device has told that it has its messages, when some of those are stored.
    #[serde(skip)]
    pub(crate) acknowledged: Option<vestibule_storage::Stamp>,
    /// Whose devices changed; nobody's in an answer to a client that begins.
    pub device_lists: DeviceLists,
    /// The keys others can begin conversations with.
    #[serde(flatten)]
    pub key_counts: KeyCounts,
}

impl SyncResponse {
    /// Whether there is nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.account_data.events.is_empty()
            && self.presence.events.is_empty()
            && self.to_device.events.is_empty()
            && self.device_lists.is_empty()
            && !self.key_counts.moved
    }
}

/// The keys others can begin conversations with.
#[derive(Debug, Default, Serialize)]
pub struct KeyCounts {
    /// How many keys for one conversation each are left, by algorithm.
    #[serde(rename = "device_one_time_keys_count")]
    pub one_time: BTreeMap<String, u64>,
    /// The algorithms whose fallback key was not given out.
    #[serde(rename = "device_unused_fallback_key_types")]
    pub unused_fallback: Vec<String>,
    /// Whether that is news.
    #[serde(skip)]
    pub(crate) moved: bool,
}

/// Rooms by what the user is to them.
#[derive(Debug, Default, Serialize)]
pub struct Rooms {
    /// Rooms the user is in.
    pub join: BTreeMap<OwnedRoomId, JoinedRoom>,
    /// Rooms the user is invited to.
    pub invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    /// Rooms the user knocked at.
    pub knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    /// Rooms the user left, or was removed from.
    pub leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    fn is_empty(&self) -> bool {
        self.join.is_empty()
            && self.invite.is_empty()
            && self.knock.is_empty()
            && self.leave.is_empty()
    }
}

/// A list of events.
#[derive(Debug, Default, Serialize)]
pub struct Events {
    /// The events.
    pub events: Vec<RawEvent>,
}

/// Whose devices changed.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    /// Users whose devices changed.
    pub changed: Vec<OwnedUserId>,
    /// Users with whom no room is shared any more.
    pub left: Vec<OwnedUserId>,
}

impl DeviceLists {
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// A room the user is in.
#[derive(Debug, Default, Serialize)]
pub struct JoinedRoom {
    /// Who is in it.
    pub summary: Summary,
    /// State before the timeline, or after it.
    #[serde(flatten)]
    pub state: State,
    /// What happened.
    pub timeline: Timeline,
    /// Typing and receipts.
    pub ephemeral: Events,
    /// The user's own data of this room.
    pub account_data: Events,
    /// What is unread.
    pub unread_notifications: UnreadCounts,
    /// Whether the user has read further: the counts are news then.
    #[serde(skip)]
    pub(crate) read_on: bool,
    /// What is unread in threads, where asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unread_thread_notifications: BTreeMap<String, UnreadCounts>,
}

impl JoinedRoom {
    /// Whether there is nothing that would have to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.timeline.events.is_empty()
            && !self.timeline.limited
            && self.state.events().is_empty()
            && self.ephemeral.events.is_empty()
            && self.account_data.events.is_empty()
            && self.summary.is_empty()
            && !self.read_on
    }
}

impl SyncResponse {
    /// The answer to a client that asked for the state after the timeline by its old name, if it did.
    #[must_use]
    pub fn with_state_named(mut self, by_its_old_name: bool) -> Self {
        let rooms = &mut self.rooms;
        let joined = rooms.join.values_mut().map(|room| &mut room.state);
        let left = rooms.leave.values_mut().map(|room| &mut room.state);
        for state in joined.chain(left).filter(|_| by_its_old_name) {
            state.by_its_old_name();
        }
        self
    }
}

/// State, under the name of the moment it is of.
#[derive(Debug, Serialize)]
pub enum State {
    /// At the start of the timeline.
    #[serde(rename = "state")]
    Before(Events),
    /// At the end of the timeline.
    #[serde(rename = "state_after")]
    After(Events),
    /// The same, for clients that ask for it by the name it had before it was in the specification.
    #[serde(rename = "org.matrix.msc4222.state_after")]
    AfterByItsOldName(Events),
}

impl Default for State {
    fn default() -> Self {
        Self::Before(Events::default())
    }
}

impl State {
    fn events(&self) -> &[RawEvent] {
        match self {
            Self::Before(state) | Self::After(state) | Self::AfterByItsOldName(state) => {
                &state.events
            }
        }
    }

    fn by_its_old_name(&mut self) {
        if let Self::After(state) = self {
            *self = Self::AfterByItsOldName(std::mem::take(state));
        }
    }
}

/// Who is in a room.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Members to name the room after.
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<OwnedUserId>>,
    /// How many are in it.
    #[serde(rename = "m.joined_member_count", skip_serializing_if = "Option::is_none")]
    pub joined_member_count: Option<u64>,
    /// How many are invited.
    #[serde(rename = "m.invited_member_count", skip_serializing_if = "Option::is_none")]
    pub invited_member_count: Option<u64>,
}

impl Summary {
    fn is_empty(&self) -> bool {
        self.heroes.is_none()
            && self.joined_member_count.is_none()
            && self.invited_member_count.is_none()
    }
}

/// A stretch of a room's timeline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    /// The events, oldest first.
    pub events: Vec<RawEvent>,
    /// Whether there are more between the last answer and the first of these.
    pub limited: bool,
    /// Where to page back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// Whether events are shown with what relates to them, as this user sees it.
    #[serde(skip)]
    pub bundled: bool,
}

/// A room the user is invited to.
#[derive(Debug, Default, Serialize)]
pub struct InvitedRoom {
    /// What may be known before one joins.
    pub invite_state: Events,
}

/// A room the user knocked at.
#[derive(Debug, Default, Serialize)]
pub struct KnockedRoom {
    /// What may be known before one joins.
    pub knock_state: Events,
}

/// A room the user left.
#[derive(Debug, Default, Serialize)]
pub struct LeftRoom {
    /// State before the timeline, or after it.
    #[serde(flatten)]
    pub state: State,
    /// What happened up to the departure.
    pub timeline: Timeline,
    /// The user's own data of this room.
    pub account_data: Events,
}
