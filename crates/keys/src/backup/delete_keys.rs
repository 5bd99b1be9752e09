//! Removing keys from a backup.

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{
    Scan,
    tables::key_backup::{KEY_BACKUP, KEY_BACKUP_BYTES, ROOM_KEY},
};
use vestibule_types::limits::ROOM_KEYS_MAX;

use super::{
    BackupError, BackupState, Which,
    bytes::{bytes_in, bytes_of},
    number,
};
use crate::Keys;

impl Keys {
    /// Removes keys from a backup, as far as they are there.
    #[instrument(name = "keys.backup.delete_room_keys", skip_all)]
    pub async fn delete_room_keys(
        &self,
        user: &UserId,
        version: &str,
        which: Which,
    ) -> Result<BackupState, BackupError> {
        let version = number(version).ok_or(BackupError::Unknown)?;
        let owner = user.to_owned();
        self.write(user, move |tx| {
            // Asserted: whoever adds a key writes it.
            let backup = KEY_BACKUP.get(tx, (&owner, version))?;
            let mut backup = backup.ok_or(BackupError::Unknown)?;
            let bytes = bytes_in(tx, (&owner, version))?;
            let (removed, freed) = match &which {
                Which::All => {
                    ROOM_KEY.delete_prefix(tx, (&owner, version))?;
                    (backup.count, bytes)
                }
                Which::Room(room) => {
                    let scan = Scan::prefix((&owner, version, room));
                    let most = usize::try_from(ROOM_KEYS_MAX).unwrap_or(usize::MAX);
                    let (mut removed, mut freed) = (0, 0_u64);
                    ROOM_KEY.each(tx, scan.limit(most), |(_, _, room, session), key| {
                        removed += 1;
                        freed = freed.saturating_add(bytes_of(&room, &session, &key));
                        std::ops::ControlFlow::Continue(())
                    })?;
                    if removed > 0 {
                        ROOM_KEY.delete_prefix(tx, (&owner, version, room))?;
                    }
                    (removed, freed)
                }
                Which::Session(room, session) => {
                    let place = (&owner, version, room, session);
                    match ROOM_KEY.get(tx, place)? {
                        Some(key) => {
                            ROOM_KEY.delete(tx, place)?;
                            (1, bytes_of(room, session, &key))
                        }
                        None => (0, 0),
                    }
                }
            };
            if removed > 0 {
                let left = bytes.saturating_sub(freed);
                KEY_BACKUP_BYTES.put(tx, (&owner, version), &left)?;
                backup.count = backup.count.saturating_sub(removed);
                backup.etag = backup.etag.saturating_add(1);
                KEY_BACKUP.put(tx, (&owner, version), &backup)?;
            }
            Ok(BackupState::of(&backup))
        })
        .await
    }
}
