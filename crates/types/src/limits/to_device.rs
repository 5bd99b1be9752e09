//! Bounds of messages from device to device.

/// Devices one request may send to.
pub const TO_DEVICE_RECEIVERS_MAX: usize = 1_000;

/// Messages that wait for one device; for what comes beyond, older ones of whoever has most waiting
/// there are dropped.
pub const TO_DEVICE_WAITING_MAX: u64 = 10_000;

/// Messages dropped together where too many wait for a device.
pub const TO_DEVICE_DROPPED_AT_ONCE: usize = 100;

/// The content of one message to a device.
pub const TO_DEVICE_CONTENT_BYTES_MAX: usize = 65_536;

/// Messages to its device one sync brings (client-server API, "Send-to-device messaging").
pub const TO_DEVICE_PER_SYNC_MAX: usize = 100;

/// Messages to users of ours that are taken from one other server in a minute; what comes beyond is dropped.
pub const TO_DEVICE_FROM_SERVER_PER_MINUTE: u32 = 6_000;

/// Messages that are taken from one other server at once after a pause: what waited there while it did not
/// reach us.
pub const TO_DEVICE_FROM_SERVER_AT_ONCE: u32 = 20_000;

/// Messages that are taken from one user of another server in a minute: one alone does not use up the
/// share of everybody there.
pub const TO_DEVICE_FROM_SENDER_PER_MINUTE: u32 = 2_000;

/// Messages that are taken from one user of another server at once after a pause: the keys of a message for
/// everybody in a large room.
pub const TO_DEVICE_FROM_SENDER_AT_ONCE: u32 = 10_000;
