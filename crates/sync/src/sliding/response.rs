//! The answer over a connection, as it is written.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::Value;

use crate::{DeviceLists, KeyCounts, RawEvent};

/// What is new on a connection.
#[derive(Debug, Default, Serialize)]
pub struct SlidingResponse {
    /// The position to go on from.
    pub pos: String,
    /// What the request gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// The lists that were asked for.
    pub lists: BTreeMap<String, ListResult>,
    /// The rooms with something new.
    pub rooms: BTreeMap<OwnedRoomId, Room>,
    /// What was asked for beside rooms.
    pub extensions: Extensions,
}

/// A list.
#[derive(Debug, Serialize)]
pub struct ListResult {
    /// How many rooms are in it, whatever the window.
    pub count: usize,
}

/// A room: what changed, or all that was asked for.
#[derive(Debug, Default, Serialize)]
pub struct Room {
    /// Its name, where it has one; `null` when it lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Value>,
    /// Its picture; `null` when it lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Value>,
    /// Whether this is all of it, and what the client has is to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<bool>,
    /// Whether it is a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dm: Option<bool>,
    /// What may be known before one joins, of an invitation or a knock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_state: Option<Vec<RawEvent>>,
    /// What is unread.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub unread: Option<crate::UnreadCounts>,
    /// What happened, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<RawEvent>,
    /// The state that was asked for and changed. State that is gone has no content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_state: Vec<RawEvent>,
    /// Where to page back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// Whether events are missing before the first of the timeline.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// Whether the timeline begins earlier than what the client had, because more was asked for.
    #[serde(rename = "unstable_expanded_timeline", skip_serializing_if = "std::ops::Not::not")]
    pub expanded_unstable: bool,
    /// The same by the name it has in the proposal.
    #[serde(rename = "expanded_timeline", skip_serializing_if = "std::ops::Not::not")]
    pub expanded: bool,
    /// How many are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_count: Option<u64>,
    /// How many are invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_count: Option<u64>,
    /// How many events of the timeline are from after the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_live: Option<usize>,
    /// What to sort rooms by: greater is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_stamp: Option<u64>,
    /// Members to name the room after, when it has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<Hero>>,
    /// What the user is to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
    /// The lists of the request whose window it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
    /// The events of the timeline.
    #[serde(skip)]
    pub(crate) shown: Vec<OwnedEventId>,
}

/// A member a room is named after.
#[derive(Debug, Serialize)]
pub struct Hero {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their name in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// Their picture in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What was asked for beside rooms; a part that was not asked for is not there.
#[derive(Debug, Default, Serialize)]
pub struct Extensions {
    /// Messages to the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_device: Option<ToDevice>,
    /// Device lists and counts of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2ee: Option<E2ee>,
    /// The user's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<AccountData>,
    /// Read receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<InRooms>,
    /// Typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typing: Option<InRooms>,
}

/// Messages to the device.
#[derive(Debug, Serialize)]
pub struct ToDevice {
    /// What to give as `since` once the client has these.
    pub next_batch: String,
    /// The messages.
    pub events: Vec<RawEvent>,
}

/// Device lists and counts of keys.
#[derive(Debug, Default, Serialize)]
pub struct E2ee {
    /// Whose devices changed.
    pub device_lists: DeviceLists,
    /// The keys others can begin conversations with.
    #[serde(flatten)]
    pub key_counts: KeyCounts,
}

/// The user's own data.
#[derive(Debug, Default, Serialize)]
pub struct AccountData {
    /// What belongs to no room.
    pub global: Vec<RawEvent>,
    /// What belongs to rooms.
    pub rooms: BTreeMap<OwnedRoomId, Vec<RawEvent>>,
}

/// An event for each of some rooms.
#[derive(Debug, Default, Serialize)]
pub struct InRooms {
    /// The events.
    pub rooms: BTreeMap<OwnedRoomId, RawEvent>,
}

impl SlidingResponse {
    /// Whether there is nothing new.
    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.extensions.is_empty()
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.to_device.as_ref().is_none_or(|it| it.events.is_empty())
            && self
                .e2ee
                .as_ref()
                .is_none_or(|it| it.device_lists.is_empty() && !it.key_counts.moved)
            && self
                .account_data
                .as_ref()
                .is_none_or(|it| it.global.is_empty() && it.rooms.is_empty())
            && self.receipts.as_ref().is_none_or(|it| it.rooms.is_empty())
            && self.typing.as_ref().is_none_or(|it| it.rooms.is_empty())
    }
}
