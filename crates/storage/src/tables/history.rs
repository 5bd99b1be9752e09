//! What history that is fetched later needs to find.

use ruma::OwnedEventId;
use vestibule_types::{EventNo, RoomNo};

use crate::Table;

/// Redactions of events that are not here: room, target, redaction.
pub const REDACTION_WAITING: Table<(RoomNo, OwnedEventId, EventNo), ()> =
    Table::new(0x07A8, "redaction_waiting");
