//! Room keys that users keep here, encrypted for themselves.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKeyBackup {
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What belongs to the algorithm, as JSON text.
    pub auth_data: String,
    /// Counts changes of the keys in it.
    pub etag: u64,
    /// How many keys are in it.
    pub count: u64,
}
value!(StoredKeyBackup, 1);

/// A room key in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoomKey {
    /// The first message it can decrypt.
    pub first_message_index: u64,
    /// How often it was passed on between devices.
    pub forwarded_count: u64,
    /// Whether the device it comes from was verified.
    pub is_verified: bool,
    /// The encrypted key, as JSON text.
    pub session_data: String,
}
value!(StoredRoomKey, 1);

/// The backups of a user, by version.
pub const KEY_BACKUP: Table<(OwnedUserId, u64), StoredKeyBackup> = Table::new(0x0818, "key_backup");
/// The highest version a user ever had. Whoever makes or removes a backup writes it: the guard of
/// the question which one is the current one.
pub const KEY_BACKUP_NEWEST: Table<(OwnedUserId,), u64> = Table::new(0x0819, "key_backup_newest");
/// Room keys by user, version, room and session.
pub const ROOM_KEY: Table<(OwnedUserId, u64, String, String), StoredRoomKey> =
    Table::new(0x081A, "room_key");
/// How many bytes the keys of a backup take. A backup without this row was made before they were counted.
pub const KEY_BACKUP_BYTES: Table<(OwnedUserId, u64), u64> = Table::new(0x0B61, "key_backup_bytes");
