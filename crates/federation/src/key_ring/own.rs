//! The keys of this server.

use std::collections::BTreeMap;

use ruma::serde::{Base64, base64::Standard};
use vestibule_storage::{StorageError, tables::signing_key::OLD_SIGNING_KEY};
use vestibule_types::limits::KEYS_PER_SERVER_MAX;

use super::{
    KeyRing,
    known::{KnownKey, ServerKeys},
};

impl KeyRing {
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
