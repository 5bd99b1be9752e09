//! Guests, switched off and on while the server runs. The switch is a row that the policy's number changes
//! with: whoever holds a permit of before decides again, and so does the server when it starts anew.

use vestibule_policy::Policy;
use vestibule_storage::{
    StorageError, Store,
    tables::policy::{GUESTS_OFF, POLICY_EPOCH, StoredGuestsOff},
};

use crate::{
    identity::{SERVER_SLOT, policy_epoch},
    reload::{Reloadable, note_epoch},
};

/// The policy as the switch leaves it.
pub(crate) async fn as_switched(store: &Store, policy: Policy) -> Result<Policy, StorageError> {
    let off = store.read(|read| GUESTS_OFF.get(read, (0_u8,))).await?;
    Ok(policy.with_guests_off(off.is_some()))
}

impl Reloadable {
    /// Switches guests off, or back to what the configuration says. Who is asked to leave is left to the
    /// sweep and to what ends guests: both look at once.
    pub(crate) async fn switch_guests(
        &self,
        off: Option<StoredGuestsOff>,
    ) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        let policy = (*self.policy.current()).clone().with_guests_off(off.is_some());
        // Who sees the new epoch before the swap finds the policy that belongs to it.
        let next = policy_epoch(&self.store).await?.saturating_add(1);
        self.policy.announce(policy.clone().at_epoch(next));
        let committed = self
            .store
            .write(SERVER_SLOT, move |tx| {
                let epoch = POLICY_EPOCH.get(tx, (0_u8,))?.unwrap_or_default().saturating_add(1);
                POLICY_EPOCH.put(tx, (0_u8,), &epoch)?;
                match &off {
                    Some(off) => GUESTS_OFF.put(tx, (0_u8,), off)?,
                    None => GUESTS_OFF.delete(tx, (0_u8,))?,
                }
                Ok::<_, StorageError>(epoch)
            })
            .await?;
        self.policy.swap(policy.at_epoch(committed.value));
        note_epoch(committed.value);
        self.swapped.notify_one();
        self.accounts.look_at_guests();
        Ok(())
    }
}
