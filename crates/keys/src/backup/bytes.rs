//! How much the keys in a user's backups take.

use std::ops::ControlFlow::Continue;

use ruma::UserId;
use vestibule_storage::{
    Scan, StorageError, Tx,
    tables::key_backup::{KEY_BACKUP, KEY_BACKUP_BYTES, ROOM_KEY},
};
use vestibule_types::limits::{KEY_BACKUPS_MAX, ROOM_KEYS_BYTES_MAX, ROOM_KEYS_MAX};

use super::RoomKey;

/// What a key takes.
pub(super) fn bytes_of(room: &str, session: &str, key: &RoomKey) -> u64 {
    let bytes = room.len().saturating_add(session.len()).saturating_add(key.session_data.len());
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What the keys of a backup take. Where that was not counted yet, they are gone through once.
pub(super) fn bytes_in(tx: &Tx<'_>, (user, version): (&UserId, u64)) -> Result<u64, StorageError> {
    if let Some(bytes) = KEY_BACKUP_BYTES.get(tx, (user, version))? {
        return Ok(bytes);
    }
    let most = usize::try_from(ROOM_KEYS_MAX).unwrap_or(usize::MAX);
    let mut bytes = 0_u64;
    let all = Scan::prefix((user, version)).limit(most);
    ROOM_KEY.each(tx, all, |(_, _, room, session), key| {
        bytes = bytes.saturating_add(bytes_of(&room, &session, &key));
        Continue(())
    })?;
    Ok(bytes)
}

/// Whether there is room for a backup to take so much beside the others of its user.
pub(super) fn is_room(
    tx: &Tx<'_>,
    (user, version): (&UserId, u64),
    bytes: u64,
) -> Result<bool, StorageError> {
    let mut total = bytes;
    for ((_, other), _) in KEY_BACKUP.scan(tx, (user,), KEY_BACKUPS_MAX)? {
        if other != version {
            total = total.saturating_add(bytes_in(tx, (user, other))?);
        }
    }
    Ok(total <= ROOM_KEYS_BYTES_MAX)
}
