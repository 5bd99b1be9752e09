//! Messages from device to device, until the receiving device has told that it has them.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Counter, Stamp, Table, value};

/// A message that waits for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToDevice {
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Its type.
    pub event_type: String,
    /// Its content, as JSON text.
    pub content: String,
}
value!(StoredToDevice, 1);

/// What waits for a device, in the order it was sent; stamped in the slot of the receiving user.
pub const TO_DEVICE: Table<(OwnedUserId, OwnedDeviceId, Stamp), StoredToDevice> =
    Table::new(0x0410, "to_device");
/// How much waits for a device.
pub const TO_DEVICE_COUNT: Counter<(OwnedUserId, OwnedDeviceId)> =
    Counter::new(0x0411, "to_device_count");
/// The same by share: the sender, or the server of a sender of another one.
pub const TO_DEVICE_BY_SHARE: Table<(OwnedUserId, OwnedDeviceId, String, Stamp), ()> =
    Table::new(0x0B60, "to_device_by_share");
/// Transaction ids that were spent: sender, device, event type and id. Holds when, in milliseconds since the Unix
/// epoch.
pub const TO_DEVICE_SENT: Table<(OwnedUserId, OwnedDeviceId, String), u64> =
    Table::new(0x0412, "to_device_sent");
/// The same by time, for forgetting them.
pub const TO_DEVICE_SENT_BY_TIME: Table<(u64, OwnedUserId, OwnedDeviceId, String), ()> =
    Table::new(0x0413, "to_device_sent_by_time");
