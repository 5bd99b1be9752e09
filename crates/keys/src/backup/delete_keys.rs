//! Removing keys from a backup.

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{
    Scan,
    tables::key_backup::{KEY_BACKUP, ROOM_KEY},
};
use vestibule_types::limits::ROOM_KEYS_MAX;

use super::{BackupError, BackupState, Which, number};
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
            let removed = match &which {
                Which::All => {
                    ROOM_KEY.delete_prefix(tx, (&owner, version))?;
                    backup.count
                }
                Which::Room(room) => {
                    let scan = Scan::prefix((&owner, version, room));
                    let most = usize::try_from(ROOM_KEYS_MAX).unwrap_or(usize::MAX);
                    let mut removed = 0;
                    ROOM_KEY.each(tx, scan.limit(most), |_, _| {
                        removed += 1;
                        std::ops::ControlFlow::Continue(())
                    })?;
                    if removed > 0 {
                        ROOM_KEY.delete_prefix(tx, (&owner, version, room))?;
                    }
                    removed
                }
                Which::Session(room, session) => {
                    let place = (&owner, version, room, session);
                    let there = ROOM_KEY.contains(tx, place)?;
                    if there {
                        ROOM_KEY.delete(tx, place)?;
                    }
                    u64::from(there)
                }
            };
            if removed > 0 {
                backup.count = backup.count.saturating_sub(removed);
                backup.etag = backup.etag.saturating_add(1);
                KEY_BACKUP.put(tx, (&owner, version), &backup)?;
            }
            Ok(BackupState::of(&backup))
        })
        .await
    }
}
