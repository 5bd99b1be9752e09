//! Bounds of end-to-end key exchange.

use std::time::Duration;

/// Keys a device may upload for one conversation each, of all algorithms together.
pub const ONE_TIME_KEYS_PER_DEVICE_MAX: usize = 1_000;

/// Algorithms of one-time and fallback keys of one device.
pub const KEY_ALGORITHMS_MAX: usize = 16;

/// The longest name of a key or of a key algorithm.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// One key as a client uploads it: the identity keys of a device, a one-time key, a cross-signing key.
pub const KEY_OBJECT_BYTES_MAX: usize = 16_384;

/// One-time keys of a device that are remembered as given out.
pub const SPENT_KEYS_REMEMBERED_MAX: usize = 5_000;

/// Users one request for keys may name.
pub const KEYS_QUERIED_USERS_MAX: usize = 10_000;

/// Devices one request for one-time keys may name.
pub const KEYS_CLAIMED_MAX: usize = 10_000;

/// One-time keys of one user that one other server gets in a minute. Beyond, it gets the fallback key, which is
/// good for as many conversations as there are.
pub const KEYS_CLAIMED_BY_SERVER_PER_MINUTE: u32 = 60;

/// One-time keys of one user that one other server gets at once after a pause: for several devices, in a large room.
pub const KEYS_CLAIMED_BY_SERVER_AT_ONCE: u32 = 120;

/// One-time keys of one user that all other servers together get in a minute.
pub const KEYS_CLAIMED_ABROAD_PER_MINUTE: u32 = 120;

/// One-time keys of one user that all other servers together get at once after a pause.
pub const KEYS_CLAIMED_ABROAD_AT_ONCE: u32 = 300;

/// Keys one upload of signatures may be about.
pub const SIGNED_KEYS_PER_UPLOAD_MAX: usize = 1_000;

/// Devices of a user of another server that are remembered.
pub const REMOTE_DEVICES_MAX: usize = 1_000;

/// Updates of a remote device list that are remembered, so that the next one can refer to them.
pub const REMOTE_LIST_UPDATES_MAX: usize = 32;

/// How long the keys of other servers are waited for unless the client says otherwise (client-server
/// API, `timeout`).
pub const REMOTE_KEYS_WAIT: Duration = Duration::from_secs(10);

/// How long a client may have us wait for the keys of other servers.
pub const REMOTE_KEYS_WAIT_MAX: Duration = Duration::from_secs(30);

/// Remote device lists that are fetched at once because an update was missed.
pub const LIST_FETCHES_MAX: usize = 16;

/// Remote device lists that wait to be fetched; those beyond are fetched when they are asked for.
pub const LIST_FETCHES_WAITING_MAX: usize = 10_000;

/// Room keys in one backup.
pub const ROOM_KEYS_MAX: u64 = 500_000;

/// One encrypted room key in a backup.
pub const ROOM_KEY_BYTES_MAX: usize = 65_536;

/// What the room keys in all backups of one user take.
pub const ROOM_KEYS_BYTES_MAX: u64 = 256 * 1_048_576;

/// Backups of one user.
pub const KEY_BACKUPS_MAX: usize = 100;

/// Users whose device list changed that one sync looks through; beyond, it asks the people it
/// shares rooms with.
pub const LIST_CHANGES_SCAN_MAX: usize = 5_000;

/// Users one sync names as changed or as left.
pub const LISTS_TOLD_MAX: usize = 50_000;

/// Members of a plain room who are told of each other's devices as if it were encrypted.
pub const PLAIN_ROOM_MEMBERS_TOLD_MAX: usize = 1_000;

/// Servers that are told of one change of a device list.
pub const SERVERS_TOLD_MAX: usize = 100_000;

/// Members of a room that are looked at because this server left it.
pub const ROOM_MEMBERS_LOOKED_AT_MAX: usize = 200_000;

/// Membership events of one person that are gone back over to see whether they were away between
/// two syncs; beyond, they count as having been.
pub const MEMBERSHIPS_LOOKED_BACK_MAX: usize = 16;
