//! The keys of this server (server-server API, "Publishing Keys").

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject,
    serde::{Base64, base64::Standard},
};
use serde_json::json;
use vestibule_events::KeyError;
use vestibule_storage::{StorageError, tables::signing_key::OLD_SIGNING_KEY};
use vestibule_types::limits::{KEYS_PER_SERVER_MAX, OWN_KEYS_VALIDITY};

use super::{
    KeyRing,
    known::{KnownKey, ServerKeys},
};

/// Why our own keys cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PublishKeysError {
    /// They cannot be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// They cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyRing {
    /// What this server tells of its keys: the one it signs with, those of before with their end, and
    /// for how long that may be relied on. Signed.
    pub async fn published(&self) -> Result<CanonicalJsonObject, PublishKeysError> {
        let validity = u64::try_from(OWN_KEYS_VALIDITY.as_millis()).unwrap_or_default();
        let (mut in_use, mut of_before) = (BTreeMap::new(), BTreeMap::new());
        for (key_id, key) in self.own_keys().await?.keys {
            let public_key = Base64::<Standard>::new(key.public_key).encode();
            match key.expired_at {
                None => drop(in_use.insert(key_id, json!({ "key": public_key }))),
                Some(at) => {
                    of_before.insert(key_id, json!({ "key": public_key, "expired_ts": at }));
                }
            }
        }
        let told = json!({
            "server_name": self.inner.server_name,
            "verify_keys": in_use,
            "old_verify_keys": of_before,
            "valid_until_ts": self.inner.environment.now_ms().saturating_add(validity),
        });
        let mut told: CanonicalJsonObject = serde_json::from_value(told)?;
        self.inner.signing_key.sign_json(&self.inner.server_name, &mut told)?;
        Ok(told)
    }

    /// Our own keys as those of another server would be known; they need not be fetched.
    pub(super) async fn own_keys(&self) -> Result<ServerKeys, StorageError> {
        let old = self.inner.store.read(|read| OLD_SIGNING_KEY.scan(read, (), KEYS_PER_SERVER_MAX));
        let mut keys = BTreeMap::new();
        for ((key_id,), old) in old.await? {
            let key = known(&old.public_key, Some(old.expired_at));
            keys.extend(key.map(|key| (key_id, key)));
        }
        let ours = &self.inner.signing_key;
        let key = known(&ours.public_key(), None);
        keys.extend(key.map(|key| (ours.key_id().to_string(), key)));
        Ok(ServerKeys { valid_until: u64::MAX, keys, ..ServerKeys::default() })
    }
}

fn known(public_key: &str, expired_at: Option<u64>) -> Option<KnownKey> {
    let public_key = Base64::<Standard>::parse(public_key).ok()?.into_inner();
    let current = expired_at.is_none();
    Some(KnownKey { public_key, valid_until: u64::MAX, expired_at, current })
}
