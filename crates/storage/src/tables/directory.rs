//! Names for rooms, and which rooms are published.

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::{ClassName, RoomNo};

use super::account::TokenDigest;
use crate::{Stamped, Table, value};

/// Where an alias came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredAliasOrigin {
    /// A user asked for it.
    User,
    /// An operator asked for it.
    Admin,
    /// An application service asked for it.
    Appservice,
    /// A room upgrade brought it here.
    Upgrade,
}

/// A name this server gave to a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAlias {
    /// The room it leads to.
    pub room_id: OwnedRoomId,
    /// Who made it.
    pub creator: OwnedUserId,
    /// The class of that account when it was made. A later change of class does not change it.
    pub creator_class: ClassName,
    /// How it came to be.
    pub origin: StoredAliasOrigin,
    /// When, in milliseconds since the Unix epoch.
    pub created_at: u64,
}
value!(StoredAlias, 1);

/// A room in the public directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPublication {
    /// Who published it.
    pub publisher: OwnedUserId,
    /// When, in milliseconds since the Unix epoch.
    pub published_at: u64,
}
value!(StoredPublication, 1);

/// What a name leads to.
pub const ALIAS_BY_NAME: Table<(OwnedRoomAliasId,), StoredAlias> =
    Table::new(0x0300, "alias_by_name");
/// The names of a room.
pub const ALIAS_BY_ROOM: Table<(OwnedRoomId, OwnedRoomAliasId), ()> =
    Table::new(0x0301, "alias_by_room");
/// The guard of everything that decides whether a room is in somebody's scope: its aliases, its
/// place in pinned lists, its `m.space.child` entries, its members that host guests.
pub const SCOPE_GUARD: Table<(OwnedRoomId,), Stamped<()>> = Table::new(0x0302, "scope_guard");
/// Rooms that are blocked before this server is in them. Gone once it knows the room, whose row says so then.
pub const BLOCKED_ROOM: Table<(OwnedRoomId,), ()> = Table::new(0x0D61, "blocked_room");
/// The public directory.
pub const PUBLICATION_BY_ROOM: Table<(RoomNo,), StoredPublication> =
    Table::new(0x0303, "publication_by_room");
/// Which room an alias in `list` was pinned to when it first led somewhere.
pub const LIST_PIN: Table<(OwnedRoomAliasId,), OwnedRoomIdRow> = Table::new(0x0304, "list_pin");
/// Every room an alias in `never` has led to.
pub const NEVER_ROOM: Table<(OwnedRoomAliasId, OwnedRoomId), ()> = Table::new(0x0305, "never_room");
/// Space edges an operator approved: space, child.
pub const SPACE_APPROVAL: Table<(OwnedRoomId, OwnedRoomId), ()> =
    Table::new(0x0306, "space_approval");
/// Who first set a space edge: space, child → sender.
pub const SPACE_EDGE_FIRST: Table<(OwnedRoomId, OwnedRoomId), StoredSpaceEdge> =
    Table::new(0x0307, "space_edge_first");
/// When a room was last seen inside a space of the configuration that could be read: class, space,
/// room → milliseconds since the Unix epoch. The sweep writes it; a space that nobody of ours is in
/// any more is judged by it for a while.
pub const SPACE_SEEN: Table<(ClassName, OwnedRoomId, OwnedRoomId), u64> =
    Table::new(0x0308, "space_seen");
/// The spaces the server's own user was told to be in, or to leave.
pub const SPACE_FOLLOWED: Table<(OwnedRoomId,), StoredFollow> =
    Table::new(0x0309, "space_followed");
/// Guest links by the digest of their token.
pub const GUEST_LINK: Table<(TokenDigest,), StoredGuestLink> = Table::new(0x030A, "guest_link");
/// What a redeemed link opens: user, room.
pub const GUEST_GRANT: Table<(OwnedUserId, OwnedRoomId), StoredGrant> =
    Table::new(0x030B, "guest_grant");
/// Who redeemed a link for a room.
pub const GUEST_GRANT_BY_ROOM: Table<(OwnedRoomId, OwnedUserId), ()> =
    Table::new(0x030C, "guest_grant_by_room");

/// A guest link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGuestLink {
    /// The one room it opens.
    pub room_id: OwnedRoomId,
    /// Who made it.
    pub maker: OwnedUserId,
    /// When, in milliseconds since the Unix epoch.
    pub made_at: u64,
    /// How many accounts it still lets in.
    pub uses_left: u32,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}
value!(StoredGuestLink, 1);

/// What a redeemed link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGrant {
    /// The link.
    pub link: TokenDigest,
    /// When the door closes, in milliseconds since the Unix epoch: when the link ends.
    pub expires_at: u64,
}
value!(StoredGrant, 1);

/// What the server's own user was last told about a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFollow {
    /// Whether to be in it.
    pub wanted: bool,
    /// When, in milliseconds since the Unix epoch.
    pub told_at: u64,
    /// Under which policy.
    pub epoch: u64,
}
value!(StoredFollow, 1);

/// Who first added a child to a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSpaceEdge {
    /// The sender of the first event that set the edge since it was last removed.
    pub sender: OwnedUserId,
    /// The class of that account then, when it was one of ours.
    pub class: Option<ClassName>,
}
value!(StoredSpaceEdge, 1);

/// A room identifier as a stored value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedRoomIdRow(pub OwnedRoomId);
value!(OwnedRoomIdRow, 1);
