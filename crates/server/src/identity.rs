//! The key this server signs with, and the number of its policy.

use anyhow::Context;
use vestibule_events::SigningKey;
use vestibule_storage::{
    SlotNo, StorageError, Store,
    tables::{policy::POLICY_EPOCH, signing_key::SIGNING_KEY},
};
use vestibule_types::Environment;

/// Rows about the whole server live in the first slot.
pub(crate) const SERVER_SLOT: SlotNo = SlotNo(0);

/// The key events are signed with, made at the first start.
pub(crate) async fn signing_key(
    store: &Store,
    environment: &Environment,
) -> anyhow::Result<SigningKey> {
    // Drawn before the transaction, which may run twice.
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let name = format!("a_{}", environment.random_text(alphabet, 6));
    let fresh = SigningKey::from_seed(environment.random_bytes(), &name)?.to_text();
    let stored = store
        .write(SERVER_SLOT, move |tx| {
            if let Some(text) = SIGNING_KEY.get(tx, (0_u8,))? {
                return Ok(text);
            }
            SIGNING_KEY.put(tx, (0_u8,), &fresh)?;
            Ok::<_, StorageError>(fresh.clone())
        })
        .await?;
    SigningKey::from_text(&stored.value).context("the stored signing key is damaged")
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
