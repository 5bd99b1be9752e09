//! The keys other servers sign with, as they told us.

use ruma::OwnedServerName;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// What is known of the keys of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredServerKeys {
    /// When the answer came, in milliseconds since the Unix epoch.
    pub fetched_at: u64,
    /// Until when its current keys are good: what it said, and at most a week after the answer.
    pub valid_until: u64,
    /// The answer itself, canonical JSON with its signature, as others are shown it.
    pub answer: Vec<u8>,
    /// Every key known of it, those it no longer names among them.
    pub keys: Vec<StoredServerKey>,
}
value!(StoredServerKeys, 1);

/// One key of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredServerKey {
    /// Its id, `ed25519:name`.
    pub key_id: String,
    /// The public key.
    pub public_key: Vec<u8>,
    /// Until when it is known to be good, in milliseconds since the Unix epoch.
    pub valid_until: u64,
    /// When it stopped being used, if it did.
    pub expired_at: Option<u64>,
    /// Whether the latest answer names it as a key in use.
    pub current: bool,
}

/// The keys of a server.
pub const SERVER_KEYS: Table<(OwnedServerName,), StoredServerKeys> =
    Table::new(0x0720, "server_keys");
/// Servers by when their answer came, so that the longest unseen makes room.
pub const SERVER_KEYS_BY_TIME: Table<(u64, OwnedServerName), ()> =
    Table::new(0x0721, "server_keys_by_time");
/// How many servers there are keys of. Key `(0,)`.
pub const SERVER_KEYS_KEPT: Table<(u8,), u64> = Table::new(0x0722, "server_keys_kept");
