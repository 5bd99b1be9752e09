//! The identity keys of devices, and signatures that were added to keys later.
//!
//! Rows of users of other servers are a copy of what their server told; whether it is still good
//! says `device_list::REMOTE_DEVICE_LIST`.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A device as other people's devices see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeviceKey {
    /// The identity keys: canonical JSON with the signatures they were uploaded with, without
    /// `unsigned`. `None` for a device of another server that has none.
    pub json: Option<String>,
    /// The name a device of another server has. Devices of this server have theirs in
    /// `account::DEVICE_BY_USER`.
    pub display_name: Option<String>,
}
value!(StoredDeviceKey, 1);

/// Devices that have told who they are.
pub const DEVICE_KEY: Table<(OwnedUserId, OwnedDeviceId), StoredDeviceKey> =
    Table::new(0x0800, "device_key");
/// Verified signatures over keys: who signed, whose key, which key (a device, or the public part of
/// a cross-signing key), and with which key. Kept in the slot of who signed.
pub const KEY_SIGNATURE: Table<(OwnedUserId, OwnedUserId, String, String), String> =
    Table::new(0x0801, "key_signature");
