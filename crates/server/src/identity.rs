//! The key this server signs with, and the number of its policy.

use anyhow::Context;
use vestibule_events::SigningKey;
use vestibule_storage::{
    SlotNo, StorageError, Store, Tx,
    tables::{
        policy::POLICY_EPOCH,
        signing_key::{OLD_SIGNING_KEY, SIGNING_KEY, SIGNING_KEY_CHANGE, StoredOldKey},
    },
};
use vestibule_types::Environment;

/// Rows about the whole server live in the first slot.
pub(crate) const SERVER_SLOT: SlotNo = SlotNo(0);

/// The key events are signed with, made at the first start, and anew when the operator asked for it:
/// then the key of before is kept with the moment of its end.
pub(crate) async fn signing_key(
    store: &Store,
    environment: &Environment,
) -> anyhow::Result<SigningKey> {
    // Drawn before the transaction, which may run twice.
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let name = format!("a_{}", environment.random_text(alphabet, 6));
    let fresh = SigningKey::from_seed(environment.random_bytes(), &name)?.to_text();
    let now = environment.now_ms();
    let stored = store
        .write(SERVER_SLOT, move |tx| {
            let change = SIGNING_KEY_CHANGE.get(tx, (0_u8,))?.is_some();
            match SIGNING_KEY.get(tx, (0_u8,))? {
                Some(text) if !change => return Ok(text),
                Some(text) => retire(tx, &text, now)?,
                None => {}
            }
            SIGNING_KEY_CHANGE.delete(tx, (0_u8,))?;
            SIGNING_KEY.put(tx, (0_u8,), &fresh)?;
            Ok::<_, StorageError>(fresh.clone())
        })
        .await?;
    SigningKey::from_text(&stored.value).context("the stored signing key is damaged")
}

/// Keeps the public half of a key that is not used from now on.
fn retire(tx: &mut Tx<'_>, text: &str, now: u64) -> Result<(), StorageError> {
    let key = SigningKey::from_text(text)
        .map_err(|error| StorageError::corrupt("signing_key", error.to_string()))?;
    let old = StoredOldKey { public_key: key.public_key(), expired_at: now };
    OLD_SIGNING_KEY.put(tx, (key.key_id().to_string(),), &old)
}

/// The epoch of the policy in force; zero before the first.
pub(crate) async fn policy_epoch(store: &Store) -> Result<u64, StorageError> {
    store.read(|read| Ok(POLICY_EPOCH.get(read, (0_u8,))?.unwrap_or_default())).await
}

/// Begins the next epoch: permits of the one before are refused from now on.
pub(crate) async fn next_policy_epoch(store: &Store) -> Result<u64, StorageError> {
    let committed = store
        .write(SERVER_SLOT, |tx| {
            let epoch = POLICY_EPOCH.get(tx, (0_u8,))?.unwrap_or_default().saturating_add(1);
            POLICY_EPOCH.put(tx, (0_u8,), &epoch)?;
            Ok::<_, StorageError>(epoch)
        })
        .await?;
    Ok(committed.value)
}
