//! The key this server signs events with, and those it used before.

use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A key this server no longer signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOldKey {
    /// The public key, base64 without padding.
    pub public_key: String,
    /// When it was last used, in milliseconds since the Unix epoch.
    pub expired_at: u64,
}
value!(StoredOldKey, 1);

/// The key as text, `ed25519 <name> <base64>`, made at the first start. Key `(0,)`.
pub const SIGNING_KEY: Table<(u8,), String> = Table::new(0x0004, "signing_key");
/// When the operator asked for another key; the next start makes it. Key `(0,)`.
pub const SIGNING_KEY_CHANGE: Table<(u8,), u64> = Table::new(0x0726, "signing_key_change");
/// Keys of before, by their id, `ed25519:name`.
pub const OLD_SIGNING_KEY: Table<(String,), StoredOldKey> = Table::new(0x0723, "old_signing_key");
