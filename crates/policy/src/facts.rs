//! What the caller looked up before asking. Unknown facts stay `None` and count against low trust.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId};
use serde::{Deserialize, Serialize};
use vestibule_types::ClassName;

/// The facts of one question. [`crate::Policy::scoped_subjects`] tells for whom to gather the facts
/// that cost reads; for everybody else a room's identity and whether it is blocked are enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The room the action is about. Required for every room-bound act of a scoped class.
    pub room: Option<RoomFacts>,
    /// The row of the alias the action is about, if there is one.
    pub alias: Option<AliasFact>,
    /// Where the aliases in the policy's lists point and pointed. Required for scoped classes when
    /// the lists hold aliases. Kept beside the facts where these are data, because many share them.
    #[serde(skip)]
    pub pins: Option<Arc<Pins>>,
    /// Counts behind the caps.
    pub counts: Counts,
    /// Whether the rate was charged. It says nothing of another moment.
    #[serde(skip)]
    pub rate: RateFact,
    /// Whether subject and target are both in a room that is in the subject's scope.
    pub shares_room: Option<bool>,
    /// Whether the subject's power in the room suffices to change its canonical alias.
    pub has_alias_power: Option<bool>,
    /// Whether the alias lies in a namespace of the application service that acts.
    pub in_own_namespace: bool,
}

impl Facts {
    /// Facts about one room.
    #[must_use]
    pub fn of_room(room: RoomFacts) -> Self {
        Self { room: Some(room), ..Self::default() }
    }
}

/// What is known of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomFacts {
    /// Which room.
    pub room_id: OwnedRoomId,
    /// Whether the operator blocked it.
    pub blocked: bool,
    /// Whether the current resolved state has `m.room.guest_access` with `can_join`. For a room we
    /// are not in, what `/hierarchy` said.
    pub guest_can_join: Option<bool>,
    /// Whether the current state makes the history world-readable.
    pub world_readable: Option<bool>,
    /// Our own alias rows that point to the room. Never what the room's state claims.
    pub aliases: Vec<AliasFact>,
    /// What the walks of the policy's spaces found about this room: one entry for each space of
    /// the subject's class.
    pub spaces: Vec<SpaceFact>,
    /// A guest link the subject redeemed for this room.
    pub grant: Option<GrantFact>,
    /// Whether a local member is joined whose class hosts (see [`crate::Policy::is_host`]).
    pub has_host: Option<bool>,
    /// Whether such a member is or was in the room. One that was not, only guests brought us into.
    pub was_hosted: Option<bool>,
    /// Whether this server is in the room.
    pub residency: Residency,
    /// Whether the room was made on this server, by the sender of its create event.
    pub made_here: Option<bool>,
    /// Whether the room is a direct chat.
    pub is_direct: bool,
    /// Whether the subject's membership was frozen by an earlier sweep.
    pub frozen: bool,
}

impl RoomFacts {
    /// A room we are in and of which nothing else is known.
    #[must_use]
    pub fn new(room_id: &RoomId) -> Self {
        Self {
            room_id: room_id.to_owned(),
            blocked: false,
            guest_can_join: None,
            world_readable: None,
            aliases: Vec::new(),
            spaces: Vec::new(),
            grant: None,
            has_host: None,
            was_hosted: None,
            residency: Residency::Resident,
            made_here: None,
            is_direct: false,
            frozen: false,
        }
    }
}

/// Whether this server is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// A local user is joined, so our state of the room is current.
    Resident,
    /// Nobody of ours is joined. Stored state of the room, if any, is not evidence.
    Absent,
}

/// A row of our own alias table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasFact {
    /// The alias.
    pub alias: OwnedRoomAliasId,
    /// Who made it.
    pub creator: Option<OwnedUserId>,
    /// The class of whoever authorised the row last: its creator, adopter, or the one whose
    /// `MoveAlias` permit moved it.
    pub creator_class: ClassName,
    /// How it came about.
    pub origin: AliasOrigin,
}

/// How an alias row came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasOrigin {
    /// Somebody made it over the client-server API.
    User,
    /// The operator made or adopted it.
    Admin,
    /// An application service made it.
    Appservice,
    /// It followed a room upgrade.
    Moved,
}

/// A redeemed guest link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantFact {
    /// The one room it is for.
    pub room_id: OwnedRoomId,
    /// When it ends.
    pub expires_at: MilliSecondsSinceUnixEpoch,
}

/// What the walk of one space found about a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceFact {
    /// The pinned space.
    pub space: OwnedRoomId,
    /// What was found.
    pub finding: SpaceFinding,
}

/// Whether a room belongs to a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpaceFinding {
    /// Curated edges lead to the room, along these spaces.
    Inside {
        /// The rooms from the pinned space to the room, both included.
        path: Vec<OwnedRoomId>,
    },
    /// The walk was complete and did not meet the room.
    Outside,
    /// The walk met its bound before the room.
    Overflow,
    /// We are not in the space, so nothing is known.
    Unknown {
        /// How long ago the room was last seen inside, if it was.
        inside_ms_ago: Option<u64>,
    },
}

/// Counts behind the caps; `None` counts as full for the classes that are capped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rooms the subject is joined to.
    pub rooms_joined: Option<u64>,
    /// Guests joined to the room.
    pub guests_in_room: Option<u64>,
    /// Live guests on this server.
    pub live_guests: Option<u64>,
    /// Guests made in the last minute.
    pub new_guests_in_minute: Option<u64>,
    /// Live guests of the IPv4 address or IPv6 /64.
    pub live_from_address: Option<u64>,
    /// Live guests of the IPv6 /48; not asked for IPv4.
    pub live_from_network: Option<u64>,
    /// Guests made within a day from the IPv4 address or IPv6 /64.
    pub day_from_address: Option<u64>,
    /// Guests made within a day from the IPv6 /48; not asked for IPv4.
    pub day_from_network: Option<u64>,
}

/// Whether the rate of a request was charged. Charging happens once, outside of any transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateFact {
    /// Nobody asked the buckets yet: the decision tells what to charge, but makes no permit.
    #[default]
    NotCharged,
    /// The buckets had room.
    Charged,
    /// A bucket was empty.
    Exhausted {
        /// When it will have room.
        retry_after_ms: u64,
    },
}

/// Where the aliases named in the policy's `list` and `never` point.
///
/// A listed alias is pinned to the first room it was seen with; a forbidden one collects every room
/// it pointed to since the policy started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    listed: BTreeMap<OwnedRoomAliasId, OwnedRoomId>,
    never: BTreeMap<OwnedRoomAliasId, BTreeSet<OwnedRoomId>>,
}

impl Pins {
    /// Notes that a listed alias points to a room. The first room stays; returns whether the alias
    /// has drifted to another.
    pub fn note_listed(&mut self, alias: OwnedRoomAliasId, room: OwnedRoomId) -> bool {
        match self.listed.entry(alias) {
            Entry::Occupied(pinned) => *pinned.get() != room,
            Entry::Vacant(free) => {
                free.insert(room);
                false
            }
        }
    }

    /// Notes that a forbidden alias points to a room; the room stays forbidden.
    pub fn note_never(&mut self, alias: OwnedRoomAliasId, room: OwnedRoomId) {
        self.never.entry(alias).or_default().insert(room);
    }

    /// The room a listed alias is pinned to.
    #[must_use]
    pub fn listed(&self, alias: &ruma::RoomAliasId) -> Option<&RoomId> {
        self.listed.get(alias).map(|room| &**room)
    }

    /// Whether a room is known for the alias.
    #[must_use]
    pub fn know(&self, alias: &ruma::RoomAliasId) -> bool {
        self.listed.contains_key(alias) || self.never.contains_key(alias)
    }

    /// Whether a forbidden alias points, or ever pointed, to the room.
    #[must_use]
    pub fn ever_pointed(&self, alias: &ruma::RoomAliasId, room: &RoomId) -> bool {
        self.never.get(alias).is_some_and(|rooms| rooms.contains(room))
    }
}
