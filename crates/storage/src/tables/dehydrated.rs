//! Dehydrated devices (MSC3814): devices nobody is logged in on. They receive messages, which whoever
//! logs in next takes over.
//!
//! Such a device is also a row of `account::DEVICE_BY_USER`, and has keys and messages like any other;
//! it has no token. All of it lies in the slot of the user.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A dehydrated device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDehydratedDevice {
    /// Its identifier.
    pub device_id: OwnedDeviceId,
    /// What its owner needs to use it again, encrypted by them: canonical JSON.
    pub data: String,
}
value!(StoredDehydratedDevice, 1);

/// The dehydrated device of an account, which has one at most.
pub const DEHYDRATED_DEVICE: Table<(OwnedUserId,), StoredDehydratedDevice> =
    Table::new(0x0AE0, "dehydrated_device");
