//! What other servers are to be told, and how far each of them was told.
//!
//! Events are not copied per receiver: a receiver has a cursor into the log, and only while
//! something is under way to it, or could not be delivered.

use ruma::OwnedServerName;
use serde::{Deserialize, Serialize};
use vestibule_types::{EventNo, RoomNo};

use crate::{Counter, Stamp, Stamped, Table, tables::room::StoredRoomNo, value};

/// Places in the log, one per slot: everything up to them is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCursor(pub Vec<Stamp>);
value!(StoredCursor, 1);

/// How far a server was told of our events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutgoing {
    /// What lies before was delivered, or is in `transaction`.
    pub cursor: StoredCursor,
    /// Its way through the rooms, after it was out of reach.
    pub catch_up: Option<StoredCatchUp>,
    /// What it was sent last and may not have received. It is sent again as it was, under the same
    /// id, before anything else.
    pub transaction: Option<StoredOutTransaction>,
}
value!(StoredOutgoing, 1);

/// How far the rooms of a server were gone through for what it missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCatchUp {
    /// Up to where in the log.
    pub to: StoredCursor,
    /// Rooms with smaller numbers are done.
    pub room: RoomNo,
    /// How much of that room is done.
    pub after: Stamp,
}

/// A transaction by what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutTransaction {
    /// Its id.
    pub id: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub at: u64,
    /// How often the server answered that it does not take it.
    pub refusals: u32,
    /// The events.
    pub events: Vec<(RoomNo, EventNo)>,
    /// Read receipts, by the position they changed at.
    pub receipts: Vec<(RoomNo, Stamp)>,
    /// What else was in it, as rows of [`EDU_OUT`].
    pub edus: Vec<(u16, Stamp)>,
}

/// A message to a server that belongs to no room's log and must arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEdu {
    /// Its type.
    pub edu_type: String,
    /// Its content, as JSON text.
    pub content: String,
    /// A later message with the same key takes its place.
    pub key: Option<String>,
}
value!(StoredEdu, 1);

/// Whether a server came into a room, or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredServerChange {
    /// It came.
    pub joined: bool,
}
value!(StoredServerChange, 1);

/// Who brings an event to the rest of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRelay {
    /// This server.
    pub ours: bool,
}
value!(StoredRelay, 1);

/// Up to where the log was looked through for what others are to be told. Key `(0,)`.
pub const SEND_TAIL: Table<(u8,), StoredCursor> = Table::new(0x07A0, "send_tail");
/// How far a server was told; no row when it was told everything up to [`SEND_TAIL`]. In slot 0.
pub const OUTGOING: Table<(OwnedServerName,), StoredOutgoing> = Table::new(0x07A1, "outgoing");
/// What waits for a server, in the order it was queued within a slot.
pub const EDU_OUT: Table<(OwnedServerName, u16, Stamp), StoredEdu> = Table::new(0x07A2, "edu_out");
/// Which message a key stands for: its stamp, and its slot.
pub const EDU_OUT_BY_KEY: Table<(OwnedServerName, String), Stamped<u64>> =
    Table::new(0x07A3, "edu_out_by_key");
/// How many messages wait for a server.
pub const EDU_OUT_COUNT: Counter<(OwnedServerName,)> = Counter::new(0x07A4, "edu_out_count");
/// Other servers coming into a room and leaving it.
pub const SERVER_CHANGE: Table<(RoomNo, Stamp, OwnedServerName), StoredServerChange> =
    Table::new(0x07A5, "server_change");
/// Rooms a server left, and rooms that ended an invitation or a knock of one of its users while it had
/// nobody there: by slot and when.
pub const ROOM_LEFT_BY_SERVER: Table<(OwnedServerName, u16, Stamp), StoredRoomNo> =
    Table::new(0x07A6, "room_left_by_server");
/// Events that are brought to the rest of the room by another server than that of their sender:
/// by us, because we let them in, or by another one, because it let ours in.
pub const RELAY: Table<(RoomNo, EventNo), StoredRelay> = Table::new(0x07A7, "relay");
