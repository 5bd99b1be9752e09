//! What policy must remember.

use serde::{Deserialize, Serialize};

use crate::{Stamp, Table, value};

/// The number of the policy in force, raised by every reload. Key `(0,)`. Every batch that spends
/// a permit asserts it.
pub const POLICY_EPOCH: Table<(u8,), u64> = Table::new(0x0500, "policy_epoch");

/// A refusal, as the operator will read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDenial {
    /// Who was refused.
    pub user_id: String,
    /// Their class then.
    pub class: String,
    /// What they wanted to do.
    pub action: String,
    /// Why not. Begins with `observed `, which no reason does, where the policy only observed and it was
    /// let pass.
    pub reason: String,
    /// What it was about.
    pub object: String,
    /// Where it came from, truncated.
    pub address: Option<String>,
}
value!(StoredDenial, 1);

/// The ring of refusals: time in milliseconds since the Unix epoch, slot, stamp.
pub const DENIAL_BY_TIME: Table<(u64, u16, Stamp), StoredDenial> =
    Table::new(0x0501, "denial_by_time");
/// Guests are switched off, whatever the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGuestsOff {
    /// Since when, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Who did; `None` is the operator at the machine.
    pub by: Option<String>,
    /// Whether those that are there have to go.
    pub evict: bool,
}
value!(StoredGuestsOff, 1);

/// Whether guests are switched off. Key `(0,)`; there is no row while the configuration decides. Written with
/// the number of the policy.
pub const GUESTS_OFF: Table<(u8,), StoredGuestsOff> = Table::new(0x0C10, "guests_off");
/// How many refusals the ring holds: the guard that makes the bound on their number hold. Key `(0,)`.
pub const DENIALS_KEPT: Table<(u8,), u64> = Table::new(0x0B40, "denials_kept");
