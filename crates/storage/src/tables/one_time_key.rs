//! Keys that open one conversation each, and those that stand in when none is left.
//!
//! A claim reads the row of the key it takes and deletes it in the same batch, so of two claims one
//! runs again and finds the next key.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Counter, Stamp, Stamped, Table, value};

/// A key that is given out when no one-time key is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFallbackKey {
    /// The name of the key, without its algorithm.
    pub key_name: String,
    /// The key, as JSON text.
    pub json: String,
    /// Whether it was given out.
    pub used: bool,
}
value!(StoredFallbackKey, 1);

/// One-time keys by device, algorithm and name: the key as JSON text. The stamp is its place in
/// [`ONE_TIME_KEY_BY_ORDER`].
pub const ONE_TIME_KEY: Table<(OwnedUserId, OwnedDeviceId, String, String), Stamped<String>> =
    Table::new(0x0810, "one_time_key");
/// One-time keys in the order they were uploaded: their names.
pub const ONE_TIME_KEY_BY_ORDER: Table<(OwnedUserId, OwnedDeviceId, String, Stamp), String> =
    Table::new(0x0811, "one_time_key_by_order");
/// How many one-time keys a device has, by algorithm.
pub const ONE_TIME_KEY_COUNT: Counter<(OwnedUserId, OwnedDeviceId, String)> =
    Counter::new(0x0812, "one_time_key_count");
/// When the keys of a device last became more or fewer: news for that device.
pub const KEY_COUNT_POSITION: Table<(OwnedUserId, OwnedDeviceId), Stamped<()>> =
    Table::new(0x0817, "key_count_position");
/// The fallback key of a device, by algorithm.
pub const FALLBACK_KEY: Table<(OwnedUserId, OwnedDeviceId, String), StoredFallbackKey> =
    Table::new(0x0813, "fallback_key");
/// Digests of one-time keys that were given out: a client that uploads one again because an answer
/// was lost does not bring it back.
pub const SPENT_KEY: Table<(OwnedUserId, OwnedDeviceId, [u8; 32]), ()> =
    Table::new(0x0814, "spent_key");
/// The same by time, for forgetting them: the digests.
pub const SPENT_KEY_BY_ORDER: Table<(OwnedUserId, OwnedDeviceId, Stamp), Vec<u8>> =
    Table::new(0x0815, "spent_key_by_order");
/// How many of them there are.
pub const SPENT_KEY_COUNT: Counter<(OwnedUserId, OwnedDeviceId)> =
    Counter::new(0x0816, "spent_key_count");
