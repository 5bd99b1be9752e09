//! What is asked over a connection, and why it may not be answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ruma::OwnedRoomId;
use serde::Deserialize;
use vestibule_accounts::SessionEnd;
use vestibule_rooms::Availability;
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    SLIDING_LIST_NAME_BYTES_MAX, SLIDING_LISTS_MAX, SLIDING_NAME_BYTES_MAX, SLIDING_NAMES_MAX,
    SLIDING_RANGES_MAX, SLIDING_STATE_PAIRS_MAX, SLIDING_SUBSCRIPTIONS_MAX,
};

/// A request over a connection (MSC4186, in the form of its unstable endpoint).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlidingRequest {
    /// The position of the last answer; `None` begins the connection anew.
    #[serde(skip)]
    pub pos: Option<String>,
    /// How long to wait for something new.
    #[serde(skip)]
    pub timeout: Duration,
    /// Whether the client shows its user as being there.
    #[serde(skip)]
    pub presence: Availability,
    /// The name of the connection among those of the device.
    pub conn_id: Option<String>,
    /// Returned in the answer as it came.
    pub txn_id: Option<String>,
    /// Windows on the user's rooms, by names the client chose.
    pub lists: BTreeMap<String, List>,
    /// Rooms that are wanted wherever they are in a list.
    pub room_subscriptions: BTreeMap<OwnedRoomId, Details>,
    /// What is wanted beside rooms.
    pub extensions: Extensions,
}

/// A window on the user's rooms, those with the newest activity first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct List {
    /// Which places of the list, both ends included. None at all stands for the whole list.
    pub ranges: Option<Vec<(u64, u64)>>,
    /// One more such range, as the proposal calls it by now.
    pub range: Option<(u64, u64)>,
    /// What is wanted of each room.
    #[serde(flatten)]
    pub details: Details,
    /// Which rooms are in the list.
    pub filters: Option<Filters>,
}

/// What is wanted of a room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Event types with state keys.
    pub required_state: Vec<(String, String)>,
    /// How many of the newest events.
    pub timeline_limit: u64,
}

/// Which rooms are in a list: those that fulfil everything that is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Direct chats, or anything but these.
    pub is_dm: Option<bool>,
    /// Children of one of these spaces, of those the user is in.
    pub spaces: Option<BTreeSet<String>>,
    /// Encrypted rooms, or anything but these.
    pub is_encrypted: Option<bool>,
    /// Invitations, or anything but these.
    #[serde(alias = "is_invited")]
    pub is_invite: Option<bool>,
    /// Rooms of one of these types; `null` is no type.
    pub room_types: Option<BTreeSet<Option<String>>>,
    /// Rooms of none of these types.
    pub not_room_types: Option<BTreeSet<Option<String>>>,
    /// Rooms with one of these tags.
    pub tags: Option<BTreeSet<String>>,
    /// Rooms with none of these tags.
    pub not_tags: Option<BTreeSet<String>>,
}

/// What is wanted beside rooms.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Extensions {
    /// Messages to the device (MSC3885).
    pub to_device: ToDevice,
    /// Device lists and counts of keys (MSC3884).
    pub e2ee: Switch,
    /// The user's own data (MSC3959).
    pub account_data: InRooms,
    /// Read receipts (MSC3960).
    pub receipts: InRooms,
    /// Typing (MSC3961).
    pub typing: InRooms,
}

/// Whether something is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// Whether it is.
    pub enabled: Option<bool>,
}

/// Which messages to the device are wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ToDevice {
    /// Whether any are.
    pub enabled: Option<bool>,
    /// How many at most.
    pub limit: Option<u64>,
    /// Those after the `next_batch` of an answer, which the client has.
    pub since: Option<String>,
}

/// In which rooms something is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InRooms {
    /// Whether it is wanted at all.
    pub enabled: Option<bool>,
    /// In the rooms of these lists; `None` stands for all of them.
    pub lists: Option<BTreeSet<String>>,
    /// In these rooms, of those subscribed to; `None`, or a `*` among them, stands for all of these.
    pub rooms: Option<BTreeSet<String>>,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SlidingError {
    /// The position is none that this connection could go on from.
    #[error("the connection is not known at this position; begin it anew")]
    UnknownPos,
    /// The request asks for what cannot be.
    #[error("{0}")]
    Bad(&'static str),
    /// The session ended while the request was under way.
    #[error(transparent)]
    Ended(#[from] SessionEnd),
    /// The database failed.
    #[error("could not read what is new")]
    Storage(#[from] StorageError),
}

impl SlidingRequest {
    /// The name of the connection.
    pub(crate) fn name(&self) -> &str {
        self.conn_id.as_deref().unwrap_or_default()
    }

    /// Refuses what is beyond the bounds.
    pub(crate) fn check(&self) -> Result<(), SlidingError> {
        let listed = self.lists.iter().all(|(name, list)| {
            name.len() <= SLIDING_LIST_NAME_BYTES_MAX && list.is_within_bounds()
        });
        let subscribed = self.room_subscriptions.values().all(Details::is_within_bounds);
        let beside = &self.extensions;
        let in_rooms = [&beside.account_data, &beside.receipts, &beside.typing];
        for (fits, problem) in [
            (self.name().len() <= SLIDING_NAME_BYTES_MAX, "conn_id is too long"),
            (self.lists.len() <= SLIDING_LISTS_MAX, "there are too many lists"),
            (
                listed,
                "a list has a name, ranges or filters that are too long, or a range whose end is before its start",
            ),
            (
                self.room_subscriptions.len() <= SLIDING_SUBSCRIPTIONS_MAX,
                "there are too many subscriptions",
            ),
            (subscribed, "a subscription asks for too much state"),
            (
                in_rooms.iter().all(|it| it.is_within_bounds()),
                "an extension names too many rooms or lists",
            ),
        ] {
            if !fits {
                return Err(SlidingError::Bad(problem));
            }
        }
        Ok(())
    }
}

impl List {
    /// The places of the list that are wanted; `None` is all of them.
    pub(crate) fn places(&self) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
        let none = self.ranges.is_none() && self.range.is_none();
        let all = self.ranges.iter().flatten().chain(&self.range).copied();
        if none { None } else { Some(all) }
    }

    fn is_within_bounds(&self) -> bool {
        let many = self.ranges.as_ref().map_or(0, Vec::len) > SLIDING_RANGES_MAX;
        let ordered = self.places().is_none_or(|mut places| places.all(|(from, to)| from <= to));
        let filtered = self.filters.as_ref().is_none_or(Filters::is_within_bounds);
        !many && ordered && filtered && self.details.is_within_bounds()
    }
}

impl Details {
    fn is_within_bounds(&self) -> bool {
        self.required_state.len() <= SLIDING_STATE_PAIRS_MAX
    }
}

impl Filters {
    fn is_within_bounds(&self) -> bool {
        let names =
            [&self.spaces, &self.tags, &self.not_tags].map(|it| it.as_ref().map(BTreeSet::len));
        let types =
            [&self.room_types, &self.not_room_types].map(|it| it.as_ref().map(BTreeSet::len));
        names.into_iter().chain(types).flatten().all(|count| count <= SLIDING_NAMES_MAX)
    }
}

impl InRooms {
    /// Whether it is wanted at all.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled.unwrap_or_default()
    }

    /// Whether it is wanted in a room that is in a list.
    pub(crate) fn takes_list(&self, list: &str) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.contains(list))
    }

    /// Whether it is wanted in a room that is subscribed to.
    pub(crate) fn takes_room(&self, room: &str) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.contains("*") || rooms.contains(room))
    }

    fn is_within_bounds(&self) -> bool {
        let counts = [&self.lists, &self.rooms].map(|it| it.as_ref().map_or(0, BTreeSet::len));
        counts.iter().all(|count| *count <= SLIDING_NAMES_MAX)
    }
}
