//! Writing keys to a backup: of two copies of a key the better one is kept.

use std::collections::BTreeMap;

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::key_backup::{KEY_BACKUP, KEY_BACKUP_BYTES, ROOM_KEY},
};
use vestibule_types::limits::{IDENTIFIER_BYTES_MAX, ROOM_KEY_BYTES_MAX, ROOM_KEYS_MAX};

use super::{
    BackupState, RoomKey,
    bytes::{bytes_in, bytes_of, is_room},
    current, number,
};
use crate::Keys;

/// Why keys were not written.
#[derive(Debug, thiserror::Error)]
pub enum PutRoomKeysError {
    /// There is no backup at all.
    #[error("there is no backup")]
    Unknown,
    /// Keys can be written to the newest backup only, which is another one.
    #[error("keys can be written to the newest backup only, which is {current}")]
    WrongVersion {
        /// The newest.
        current: String,
    },
    /// A key is too large, or there are too many.
    #[error("a key is too large, or there are too many of them")]
    TooMuch,
    /// The keys could not be stored.
    #[error("could not store the keys")]
    Storage(#[from] StorageError),
}

impl Keys {
    /// Writes keys, by room and session.
    #[instrument(name = "keys.backup.put_room_keys", skip_all)]
    pub async fn put_room_keys(
        &self,
        user: &UserId,
        version: &str,
        keys: BTreeMap<String, BTreeMap<String, RoomKey>>,
    ) -> Result<BackupState, PutRoomKeysError> {
        for (room, sessions) in &keys {
            for (session, key) in sessions {
                let name = room.len().max(session.len());
                if name > IDENTIFIER_BYTES_MAX || key.session_data.len() > ROOM_KEY_BYTES_MAX {
                    return Err(PutRoomKeysError::TooMuch);
                }
            }
        }
        let (owner, version) = (user.to_owned(), number(version));
        self.write(user, move |tx| {
            let (newest, _) = current(tx, &owner)?.ok_or(PutRoomKeysError::Unknown)?;
            if version != Some(newest) {
                return Err(PutRoomKeysError::WrongVersion { current: newest.to_string() });
            }
            // Asserted: the counts below are this batch's alone.
            let backup = KEY_BACKUP.get(tx, (&owner, newest))?;
            let mut backup = backup.ok_or(PutRoomKeysError::Unknown)?;
            let before = bytes_in(tx, (&owner, newest))?;
            let mut bytes = before;
            let mut changed = false;
            for (room, sessions) in &keys {
                for (session, key) in sessions {
                    let place = (&owner, newest, room, session);
                    match ROOM_KEY.get(tx, place)? {
                        Some(before) if !is_better(key, &before) => continue,
                        Some(old) => bytes = bytes.saturating_sub(bytes_of(room, session, &old)),
                        None => backup.count = backup.count.saturating_add(1),
                    }
                    bytes = bytes.saturating_add(bytes_of(room, session, key));
                    ROOM_KEY.put(tx, place, key)?;
                    changed = true;
                }
            }
            if backup.count > ROOM_KEYS_MAX {
                return Err(PutRoomKeysError::TooMuch);
            }
            // What grows must fit; what is too much already may still shrink.
            if bytes > before && !is_room(tx, (&owner, newest), bytes)? {
                return Err(PutRoomKeysError::TooMuch);
            }
            if changed {
                KEY_BACKUP_BYTES.put(tx, (&owner, newest), &bytes)?;
                backup.etag = backup.etag.saturating_add(1);
                KEY_BACKUP.put(tx, (&owner, newest), &backup)?;
            }
            Ok(BackupState::of(&backup))
        })
        .await
    }
}

/// Whether a key takes the place of another of the same session (client-server API, "Server-side
/// key backups").
fn is_better(new: &RoomKey, old: &RoomKey) -> bool {
    if new.is_verified != old.is_verified {
        return new.is_verified;
    }
    let rank = |key: &RoomKey| (key.first_message_index, key.forwarded_count);
    rank(new) < rank(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(is_verified: bool, first_message_index: u64, forwarded_count: u64) -> RoomKey {
        let session_data = "{}".to_owned();
        RoomKey { first_message_index, forwarded_count, is_verified, session_data }
    }

    #[test]
    fn verified_beats_early_and_early_beats_seldom_forwarded() {
        assert!(is_better(&key(true, 9, 9), &key(false, 0, 0)));
        assert!(!is_better(&key(false, 0, 0), &key(true, 9, 9)));
        assert!(is_better(&key(true, 1, 9), &key(true, 2, 0)));
        assert!(!is_better(&key(true, 2, 0), &key(true, 1, 9)));
        assert!(is_better(&key(false, 1, 1), &key(false, 1, 2)));
        assert!(!is_better(&key(false, 1, 2), &key(false, 1, 1)));
        assert!(!is_better(&key(true, 1, 1), &key(true, 1, 1)), "an equal one changes nothing");
    }
}
