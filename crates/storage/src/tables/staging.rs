//! What came in from other servers and is not finished: transactions that were answered, events that
//! wait for their parents, and messages to devices that were taken already.

use bytes::Bytes;
use ruma::{OwnedEventId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::RoomNo;

use crate::{Counter, Stamp, Stamped, Table, tables::room::StoredEventNo, value};

/// An event that was acknowledged and cannot be judged yet. Its signatures were verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStagedEvent {
    /// Its identifier.
    pub event_id: OwnedEventId,
    /// Its canonical JSON, redacted already where its hash did not hold.
    pub json: Bytes,
    /// Whether its hash held.
    pub whole: bool,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: u64,
}
value!(StoredStagedEvent, 1);

/// What one event of a transaction was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPduAnswer {
    /// The event.
    pub event_id: OwnedEventId,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// What a transaction was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Its events.
    pub pdus: Vec<StoredPduAnswer>,
}
value!(StoredAnswer, 1);

/// Events that wait, by room and the server that sent them, in the order they came.
pub const STAGED_EVENT: Table<(RoomNo, OwnedServerName, Stamp), StoredStagedEvent> =
    Table::new(0x0760, "staged_event");
/// Where an event waits: the server that sent it, and when.
pub const STAGED_BY_ID: Table<(RoomNo, OwnedEventId), Stamped<String>> =
    Table::new(0x0761, "staged_by_id");
/// How many events of a server wait in a room.
pub const STAGED_COUNT: Counter<(RoomNo, OwnedServerName)> = Counter::new(0x0762, "staged_count");
/// Events that an event of ours names as its parent and that are not here: where history has a gap.
/// Leads to the event that names it.
pub const GAP_BY_PREV: Table<(RoomNo, OwnedEventId), StoredEventNo> =
    Table::new(0x0763, "gap_by_prev");
/// Transactions that were answered, by origin and id.
pub const ANSWERED: Table<(OwnedServerName, String), StoredAnswer> = Table::new(0x0764, "answered");
/// The same by time, for forgetting them.
pub const ANSWERED_BY_TIME: Table<(u64, OwnedServerName, String), ()> =
    Table::new(0x0765, "answered_by_time");
/// Messages to devices that were taken: sender, message id. Holds when, in milliseconds since the Unix
/// epoch. In the slot of the receiving user, so once for each.
pub const DIRECT_TAKEN: Table<(OwnedUserId, OwnedUserId, String), u64> =
    Table::new(0x0766, "direct_taken");
/// The same by time, for forgetting them: time, receiver, sender, message id.
pub const DIRECT_TAKEN_BY_TIME: Table<(u64, OwnedUserId, OwnedUserId, String), ()> =
    Table::new(0x0767, "direct_taken_by_time");
