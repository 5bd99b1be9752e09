//! Other servers that do not answer.

use ruma::OwnedServerName;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A server that failed to answer, until it answers again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDestination {
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was, in milliseconds since the Unix epoch.
    pub failing_since: u64,
    /// When the last of them was, in milliseconds since the Unix epoch.
    pub failed_at: u64,
    /// Before this time it is not asked again, in milliseconds since the Unix epoch.
    pub retry_at: u64,
    /// What went wrong the last time.
    pub reason: String,
}
value!(StoredDestination, 1);

/// Servers that failed to answer, by name. A server that answers has no row. In slot 0.
pub const DESTINATION: Table<(OwnedServerName,), StoredDestination> =
    Table::new(0x0700, "destination");
