//! Making, changing and removing backups.

use ruma::UserId;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::key_backup::{
        KEY_BACKUP, KEY_BACKUP_BYTES, KEY_BACKUP_NEWEST, ROOM_KEY, StoredKeyBackup,
    },
};
use vestibule_types::limits::{KEY_BACKUPS_MAX, KEY_NAME_BYTES_MAX, ROOM_KEY_BYTES_MAX};

use super::{BackupError, BackupState, current, number};
use crate::{Keys, remote::Json};

/// How the keys of a backup are encrypted.
#[derive(Debug)]
pub struct NewBackup {
    /// The algorithm.
    pub algorithm: String,
    /// What belongs to it: a JSON object.
    pub auth_data: Json,
}

/// A change of a backup.
#[derive(Debug)]
pub struct UpdateBackup {
    /// The algorithm, which must be the one it has.
    pub algorithm: String,
    /// What belongs to it.
    pub auth_data: Json,
    /// The version, which must be the one that is changed.
    pub version: Option<String>,
}

/// A backup.
#[derive(Debug)]
pub struct Backup {
    /// Its version.
    pub version: String,
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What belongs to the algorithm.
    pub auth_data: Json,
    /// What is in it.
    pub state: BackupState,
}

/// Why a backup was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateBackupError {
    /// There is no such backup.
    #[error("there is no such backup")]
    Unknown,
    /// The algorithm of a backup cannot be changed.
    #[error("the algorithm of a backup cannot be changed")]
    Algorithm,
    /// The body names another version than the path.
    #[error("the body names another version than the path")]
    Version,
    /// It is too large, or there are too many.
    #[error("the backup is too large, or there are too many of them")]
    TooMuch,
    /// The backup could not be stored.
    #[error("could not store the backup")]
    Storage(#[from] StorageError),
}

impl Keys {
    /// Makes a backup and says its version.
    #[instrument(name = "keys.backup.create", skip_all)]
    pub async fn create_backup(
        &self,
        user: &UserId,
        command: NewBackup,
    ) -> Result<String, UpdateBackupError> {
        let too_long = command.algorithm.len() > KEY_NAME_BYTES_MAX;
        if too_long || command.auth_data.get().len() > ROOM_KEY_BYTES_MAX {
            return Err(UpdateBackupError::TooMuch);
        }
        let owner = user.to_owned();
        let version = self
            .write(user, move |tx| {
                let newest = KEY_BACKUP_NEWEST.get(tx, (&owner,))?.unwrap_or_default();
                if KEY_BACKUP.scan(tx, (&owner,), KEY_BACKUPS_MAX)?.len() >= KEY_BACKUPS_MAX {
                    return Err(UpdateBackupError::TooMuch);
                }
                let version = newest.saturating_add(1);
                KEY_BACKUP_NEWEST.put(tx, (&owner,), &version)?;
                let backup = StoredKeyBackup {
                    algorithm: command.algorithm.clone(),
                    auth_data: command.auth_data.get().to_owned(),
                    etag: 0,
                    count: 0,
                };
                KEY_BACKUP.put(tx, (&owner, version), &backup)?;
                KEY_BACKUP_BYTES.put(tx, (&owner, version), &0)?;
                Ok(version)
            })
            .await?;
        Ok(version.to_string())
    }

    /// A backup; the newest when no version is named.
    #[instrument(name = "keys.backup.backup", skip_all)]
    pub async fn backup(
        &self,
        user: &UserId,
        version: Option<&str>,
    ) -> Result<Backup, BackupError> {
        let wanted = version.map(|it| number(it).ok_or(BackupError::Unknown)).transpose()?;
        let owner = user.to_owned();
        self.store()
            .read(move |read| {
                let found = match wanted {
                    None => current(read, &owner)?,
                    Some(version) => {
                        KEY_BACKUP.get(read, (&owner, version))?.map(|it| (version, it))
                    }
                };
                let (version, backup) = found.ok_or(BackupError::Unknown)?;
                let state = BackupState::of(&backup);
                let auth_data = RawValue::from_string(backup.auth_data)
                    .map_err(|error| StorageError::corrupt("key_backup", error))?;
                let algorithm = backup.algorithm;
                Ok(Backup { version: version.to_string(), algorithm, auth_data, state })
            })
            .await
    }

    /// Changes what belongs to the algorithm of a backup.
    #[instrument(name = "keys.backup.update", skip_all)]
    pub async fn update_backup(
        &self,
        user: &UserId,
        version: &str,
        command: UpdateBackup,
    ) -> Result<(), UpdateBackupError> {
        if command.version.as_deref().is_some_and(|named| named != version) {
            return Err(UpdateBackupError::Version);
        }
        if command.auth_data.get().len() > ROOM_KEY_BYTES_MAX {
            return Err(UpdateBackupError::TooMuch);
        }
        let version = number(version).ok_or(UpdateBackupError::Unknown)?;
        let owner = user.to_owned();
        self.write(user, move |tx| {
            let backup = KEY_BACKUP.get(tx, (&owner, version))?;
            let mut backup = backup.ok_or(UpdateBackupError::Unknown)?;
            if backup.algorithm != command.algorithm {
                return Err(UpdateBackupError::Algorithm);
            }
            command.auth_data.get().clone_into(&mut backup.auth_data);
            Ok(KEY_BACKUP.put(tx, (&owner, version), &backup)?)
        })
        .await
    }

    /// Removes a backup and all its keys. Doing it again does nothing.
    #[instrument(name = "keys.backup.delete", skip_all)]
    pub async fn delete_backup(&self, user: &UserId, version: &str) -> Result<(), BackupError> {
        let version = number(version).ok_or(BackupError::Unknown)?;
        let owner = user.to_owned();
        self.write(user, move |tx| {
            let newest = KEY_BACKUP_NEWEST.get(tx, (&owner,))?.unwrap_or_default();
            if version == 0 || version > newest {
                return Err(BackupError::Unknown);
            }
            if KEY_BACKUP.get(tx, (&owner, version))?.is_some() {
                // The guard, although its value stays.
                KEY_BACKUP_NEWEST.put(tx, (&owner,), &newest)?;
                KEY_BACKUP.delete(tx, (&owner, version))?;
                ROOM_KEY.delete_prefix(tx, (&owner, version))?;
                KEY_BACKUP_BYTES.delete(tx, (&owner, version))?;
            }
            Ok(())
        })
        .await
    }
}
