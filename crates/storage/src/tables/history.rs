//! What history that is fetched later needs to find, and how much of it was purged.

use ruma::OwnedEventId;
use serde::{Deserialize, Serialize};
use vestibule_types::{EventNo, RoomNo};

use crate::{Stamped, Table, value};

/// Redactions of events that are not here: room, target, redaction.
pub const REDACTION_WAITING: Table<(RoomNo, OwnedEventId, EventNo), ()> =
    Table::new(0x07A8, "redaction_waiting");

/// Redactions that took no effect, or not yet: clients are not shown them.
pub const REDACTION_WITHHELD: Table<(RoomNo, EventNo), ()> =
    Table::new(0x0D50, "redaction_withheld");

/// One purge of a room: messages of before a moment, as far as it went through the room's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPurgeLine {
    /// What says it was sent before this went, in milliseconds since the Unix epoch.
    pub before_ms: u64,
    /// Events numbered below this were gone through.
    pub below: u64,
}

/// The purges of a room. None of them covers another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPurges {
    /// One line for each.
    pub lines: Vec<StoredPurgeLine>,
}
value!(StoredPurges, 1);

/// What was purged of a room's history, and when a purge last came further.
pub const PURGED: Table<(RoomNo,), Stamped<StoredPurges>> = Table::new(0x0A81, "purged");
