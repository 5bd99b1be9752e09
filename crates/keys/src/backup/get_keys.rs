//! Reading keys out of a backup.

use std::collections::BTreeMap;

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{
    Scan,
    tables::key_backup::{KEY_BACKUP, ROOM_KEY},
};
use vestibule_types::limits::ROOM_KEYS_MAX;

use super::{BackupError, RoomKey, Which, number};
use crate::Keys;

/// Room keys by room and session.
pub type KeysOfRooms = BTreeMap<String, BTreeMap<String, RoomKey>>;

impl Keys {
    /// One key of a backup, by room and session.
    #[instrument(name = "keys.backup.room_key", skip_all)]
    pub async fn room_key(
        &self,
        user: &UserId,
        version: &str,
        (room, session): (String, String),
    ) -> Result<RoomKey, BackupError> {
        let version = number(version).ok_or(BackupError::Unknown)?;
        let user = user.to_owned();
        self.store()
            .read(move |read| {
                if !KEY_BACKUP.contains(read, (&user, version))? {
                    return Err(BackupError::Unknown);
                }
                let key = ROOM_KEY.get(read, (&user, version, &room, &session))?;
                key.ok_or(BackupError::UnknownKey)
            })
            .await
    }

    /// The keys of a backup, or of a room in it. A room without keys has none, which is no error.
    #[instrument(name = "keys.backup.room_keys", skip_all)]
    pub async fn room_keys(
        &self,
        user: &UserId,
        version: &str,
        which: Which,
    ) -> Result<KeysOfRooms, BackupError> {
        let version = number(version).ok_or(BackupError::Unknown)?;
        let user = user.to_owned();
        self.store()
            .read(move |read| {
                if !KEY_BACKUP.contains(read, (&user, version))? {
                    return Err(BackupError::Unknown);
                }
                let mut keys = KeysOfRooms::new();
                let scan = match &which {
                    Which::All => Scan::prefix((&user, version)),
                    Which::Room(room) => Scan::prefix((&user, version, room)),
                    Which::Session(room, session) => Scan::prefix((&user, version, room, session)),
                };
                let most = usize::try_from(ROOM_KEYS_MAX).unwrap_or(usize::MAX);
                for ((_, _, room, session), key) in ROOM_KEY.scan_with(read, scan.limit(most))? {
                    keys.entry(room).or_default().insert(session, key);
                }
                Ok(keys)
            })
            .await
    }
}
