//! Backups of room keys. The keys are encrypted by their owner's devices; what the server decides
//! is which of two copies of a key is the better one.

mod bytes;
mod delete_keys;
mod get_keys;
mod put_keys;
mod version;

use ruma::UserId;
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::key_backup::{KEY_BACKUP, KEY_BACKUP_NEWEST, StoredKeyBackup, StoredRoomKey},
};

pub use self::{
    get_keys::KeysOfRooms,
    put_keys::PutRoomKeysError,
    version::{Backup, NewBackup, UpdateBackup, UpdateBackupError},
};

/// An encrypted room key.
pub type RoomKey = StoredRoomKey;

/// Keys of a backup by room and session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those of a room.
    Room(String),
    /// One.
    Session(String, String),
}

/// What a change of a backup's keys left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupState {
    /// Changes with every change of the keys.
    pub etag: String,
    /// How many keys there are.
    pub count: u64,
}

impl BackupState {
    fn of(backup: &StoredKeyBackup) -> Self {
        Self { etag: backup.etag.to_string(), count: backup.count }
    }
}

/// Why there is nothing to read or remove.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no such backup.
    #[error("there is no such backup")]
    Unknown,
    /// There is no such key.
    #[error("there is no such key")]
    UnknownKey,
    /// The backup could not be read or stored.
    #[error("could not read or store the backup")]
    Storage(#[from] StorageError),
}

/// A version as clients write it. Anything else names no backup.
fn number(version: &str) -> Option<u64> {
    let digits = version.bytes().all(|byte| byte.is_ascii_digit());
    if digits { version.parse().ok() } else { None }
}

/// The backup that keys can be written to: the newest that was not removed.
fn current(
    read: &impl Read,
    user: &UserId,
) -> Result<Option<(u64, StoredKeyBackup)>, StorageError> {
    // Read for its assertion: whoever makes or removes a backup writes it.
    KEY_BACKUP_NEWEST.get(read, (user,))?;
    let newest = KEY_BACKUP.scan_with(read, Scan::prefix((user,)).reverse().limit(1))?;
    Ok(newest.into_iter().next().map(|((_, version), backup)| (version, backup)))
}
