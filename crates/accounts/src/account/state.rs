//! Suspending and locking accounts.

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::account::{StoredAccount, StoredAccountState},
};

use crate::{Accounts, facts, registration::put_account};

/// Another state for an account.
#[derive(Clone, Debug)]
pub struct SetState {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Which; deactivation has a road of its own.
    pub state: StoredAccountState,
}

/// Why an account kept its state.
#[derive(Debug, thiserror::Error)]
pub enum SetStateError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// Admins are not suspended or locked; take the class away first.
    #[error("an admin cannot be suspended or locked")]
    Admin,
    /// Deactivation is [`Accounts::deactivate`]'s, and cannot be taken back.
    #[error("an account is not deactivated or reactivated this way")]
    Deactivated,
    /// The state could not be stored.
    #[error("could not store the state")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Suspends, locks or frees an account. Its sessions stay and act by the new state at once.
    #[instrument(name = "accounts.account.set_state", skip_all)]
    pub async fn set_state(&self, command: SetState) -> Result<(), SetStateError> {
        if command.state == StoredAccountState::Deactivated {
            return Err(SetStateError::Deactivated);
        }
        let user_id = command.user_id.clone();
        self.0
            .write(&user_id, move |tx| {
                let user_id = &*command.user_id;
                let before = facts::account(tx, user_id)?.ok_or(SetStateError::UnknownUser)?;
                if before.state == StoredAccountState::Deactivated {
                    return Err(SetStateError::Deactivated);
                }
                if before.class.is_admin() && command.state != StoredAccountState::Active {
                    return Err(SetStateError::Admin);
                }
                let after = StoredAccount { state: command.state, ..before.clone() };
                Ok(put_account(tx, user_id, Some(&before), &after)?)
            })
            .await
    }

    /// The row of an account; `None` when there is none.
    pub async fn account(&self, user_id: &UserId) -> Result<Option<StoredAccount>, StorageError> {
        let user_id = user_id.to_owned();
        self.0.store.read(move |read| facts::account(read, &user_id)).await
    }
}
