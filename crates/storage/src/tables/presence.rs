//! What users of this server said of their presence, so that a restart does not forget it. Who is
//! there is in memory only, and so is everything about users of other servers: those say it again.
//!
//! A row lies in the slot of its user, and goes with the account.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// What somebody said of their presence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPresence {
    /// What they set, where that holds against what their devices do.
    pub set: Option<StoredAvailability>,
    /// Their status message.
    pub status: Option<String>,
    /// When they last did something, in milliseconds since the Unix epoch. May lag behind by
    /// `limits::PRESENCE_KEPT_EVERY`.
    pub active_at: u64,
}
value!(StoredPresence, 1);

/// What may be set against what devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredAvailability {
    /// Not there, or not showing it.
    Offline,
    /// Idle.
    Unavailable,
}

/// What each user said of their presence.
pub const PRESENCE_BY_USER: Table<(OwnedUserId,), StoredPresence> =
    Table::new(0x0B00, "presence_by_user");
