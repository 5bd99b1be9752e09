//! Taking an identifier from an account.

use tracing::instrument;
use vestibule_policy::{Denial, Reason};
use vestibule_storage::{StorageError, tables::account::StoredAccountState};
use vestibule_types::Actor;

use super::{EMAIL, canonical_email, rows::drop_contact};
use crate::{Accounts, facts};

/// Why an identifier stays.
#[derive(Debug, thiserror::Error)]
pub enum DeleteContactError {
    /// A suspended account may add addresses, not remove any (client-server API, "Account suspension").
    #[error(transparent)]
    Suspended(Denial),
    /// It could not be removed.
    #[error("could not remove the address")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Takes an identifier from the caller's account. One that is not its is no mistake.
    #[instrument(name = "accounts.contact.delete_contact", skip_all)]
    pub async fn delete_contact(
        &self,
        actor: &Actor,
        medium: &str,
        address: &str,
    ) -> Result<(), DeleteContactError> {
        let address = match medium {
            EMAIL => canonical_email(address),
            _ => None,
        };
        let Some(address) = address else { return Ok(()) };
        let user = actor.user_id().to_owned();
        self.0
            .write(actor.user_id(), move |tx| {
                let account = facts::account(tx, &user)?;
                if account.is_some_and(|it| it.state == StoredAccountState::Suspended) {
                    let denial = Denial::new(Reason::AccountSuspended, false, "an active account");
                    return Err(DeleteContactError::Suspended(denial));
                }
                drop_contact(tx, &user, (EMAIL, &address))?;
                Ok(())
            })
            .await
    }
}
