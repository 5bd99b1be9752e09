//! What users told the operators about.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Stamp, Table, value};

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredReported {
    /// A room.
    Room {
        /// Which one.
        room_id: OwnedRoomId,
    },
    /// An event.
    Event {
        /// Its room.
        room_id: OwnedRoomId,
        /// Which one.
        event_id: OwnedEventId,
    },
    /// A user.
    User {
        /// Who.
        user_id: OwnedUserId,
    },
}
value!(StoredReported, 1);

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReport {
    /// Who reported.
    pub reporter: OwnedUserId,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What it is about.
    pub about: StoredReported,
    /// Why, in the reporter's words.
    pub reason: String,
}
value!(StoredReport, 1);

/// Reports by slot of the reporter, oldest first.
pub const REPORT: Table<(u16, Stamp), StoredReport> = Table::new(0x021A, "report");
/// How many reports a slot keeps: the guard that makes the bound on their number hold.
pub const REPORTS_KEPT: Table<(u16,), u64> = Table::new(0x021B, "reports_kept");
