//! Signing with another key from the next start on.
//!
//! Everything that signs holds the key it started with, so the change waits for the next start: only
//! then is it certain when the old key was last used.

use vestibule_storage::{
    SlotNo, StorageError,
    tables::signing_key::{OLD_SIGNING_KEY, SIGNING_KEY_CHANGE},
};
use vestibule_types::limits::OWN_OLD_KEYS_MAX;

use super::KeyRing;

/// A key of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// Its id, `ed25519:name`.
    pub key_id: String,
    /// When it was last used, in milliseconds since the Unix epoch; `None` for the one in use.
    pub expired_at: Option<u64>,
}

/// Why the key is not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// There are [`OWN_OLD_KEYS_MAX`] keys of before, and others would not read more.
    #[error("{OWN_OLD_KEYS_MAX} keys of before are published already")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyRing {
    /// The keys of this server, the one in use first, then the latest first.
    pub async fn own(&self) -> Result<Vec<OwnKey>, StorageError> {
        let keys = self.own_keys().await?.keys.into_iter();
        let mut keys: Vec<OwnKey> =
            keys.map(|(key_id, key)| OwnKey { key_id, expired_at: key.expired_at }).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.expired_at.unwrap_or(u64::MAX)));
        Ok(keys)
    }

    /// Lets the next start make a new key and publish the one in use as one of before.
    pub async fn rotate_at_next_start(&self) -> Result<(), RotateKeyError> {
        let now = self.inner.environment.now_ms();
        let asked = self.inner.store.write(SlotNo(0), move |tx| {
            if OLD_SIGNING_KEY.scan(tx, (), OWN_OLD_KEYS_MAX)?.len() >= OWN_OLD_KEYS_MAX {
                return Err(RotateKeyError::TooMany);
            }
            Ok(SIGNING_KEY_CHANGE.put(tx, (0_u8,), &now)?)
        });
        asked.await.map(drop)
    }
}
