//! What operators did to accounts, for operators to read.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// What was done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredModerationKind {
    /// It was locked.
    Lock,
    /// It was unlocked.
    Unlock,
    /// It was suspended.
    Suspend,
    /// It was freed of a suspension.
    Unsuspend,
    /// It was deactivated.
    Deactivate,
}

/// One act upon an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModerationAct {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The admin who did it; `None` for whoever sits at the machine.
    pub by: Option<OwnedUserId>,
    /// Whose account.
    pub user_id: OwnedUserId,
    /// What was done.
    pub kind: StoredModerationKind,
}
value!(StoredModerationAct, 1);

/// The ring of acts, by their running number.
pub const MODERATION_ACT: Table<(u64,), StoredModerationAct> = Table::new(0x0983, "moderation_act");
/// The running number of the next act. Key `(0,)`.
pub const MODERATION_NEXT: Table<(u8,), u64> = Table::new(0x0984, "moderation_next");
