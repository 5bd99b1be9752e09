//! Memberships across servers: of our users in rooms this server is not in, and rooms that are being
//! brought here.
//!
//! All of it lies in the slot of the room.

use bytes::Bytes;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::RoomNo;

use super::room::{StateAt, StoredMembership};
use crate::{Stamped, Table, value};

/// A membership of a user of ours in a room this server is not in: an invitation, a knock, or what
/// became of one. The stamp says since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutside {
    /// What it is.
    pub membership: StoredMembership,
    /// The version of the room.
    pub version: String,
    /// The identifier of the membership event.
    pub event_id: OwnedEventId,
    /// The membership event, canonical JSON with signatures.
    pub event: Bytes,
    /// What may be known of the room before being in it: stripped state events, JSON text.
    pub stripped: Vec<String>,
    /// Servers that may be in the room. Transport only, never evidence.
    pub via: Vec<OwnedServerName>,
}
value!(StoredOutside, 1);

/// A room on its way here. Its rows are kept under its number; nobody finds them before the last
/// step, which gives the number to the room, and removes this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredImport {
    /// The number of the room.
    pub no: RoomNo,
    /// The version of the room.
    pub version: String,
    /// The state that was here when it began.
    pub base: StateAt,
    /// The state built so far. The membership index follows it.
    pub at: StateAt,
}
value!(StoredImport, 1);

/// Memberships of our users in rooms this server is not in.
pub const OUTSIDE_BY_USER: Table<(OwnedUserId, OwnedRoomId), Stamped<StoredOutside>> =
    Table::new(0x0780, "outside_by_user");
/// The same from the room's side.
pub const OUTSIDE_BY_ROOM: Table<(OwnedRoomId, OwnedUserId), ()> =
    Table::new(0x0781, "outside_by_room");
/// Those that are over and that the user does not want to see any more, taken from there: clients that knew
/// of them are still to be told that they are over.
pub const OUTSIDE_FORGOTTEN: Table<(OwnedUserId, OwnedRoomId), Stamped<StoredOutside>> =
    Table::new(0x0D10, "outside_forgotten");
/// Invitations and knocks of our users that waited when a server invited them that had no part in these, by
/// user, room and whose user made them.
pub const OUTSIDE_EARLIER: Table<(OwnedUserId, OwnedRoomId, OwnedServerName), StoredOutside> =
    Table::new(0x0D51, "outside_earlier");
/// Rooms on their way here.
pub const IMPORT_BY_ROOM: Table<(OwnedRoomId,), StoredImport> =
    Table::new(0x0782, "import_by_room");
