//! The identifiers of an account.

use ruma::UserId;
use vestibule_storage::{StorageError, tables::contact::CONTACT_BY_USER};
use vestibule_types::limits::CONTACTS_PER_USER_MAX;

use crate::Accounts;

/// A third-party identifier of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The medium: `email`.
    pub medium: String,
    /// The address, in canonical form.
    pub address: String,
    /// When its owner proved to have it, in milliseconds since the Unix epoch.
    pub validated_at: u64,
    /// When it was added.
    pub added_at: u64,
}

impl Accounts {
    /// Whether this server sends mail, so that addresses can be proven.
    #[must_use]
    pub fn has_email(&self) -> bool {
        self.0.config.email.is_some()
    }

    /// The third-party identifiers of an account.
    pub async fn contacts(&self, user_id: &UserId) -> Result<Vec<Contact>, StorageError> {
        let user = user_id.to_owned();
        self.0
            .store
            .read(move |read| {
                let rows = CONTACT_BY_USER.scan(read, (&user,), CONTACTS_PER_USER_MAX)?;
                let shown = rows.into_iter().map(|((_, medium, address), row)| Contact {
                    medium,
                    address,
                    validated_at: row.validated_at,
                    added_at: row.added_at,
                });
                Ok(shown.collect())
            })
            .await
    }
}
