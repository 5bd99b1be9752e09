//! Registration tokens: made by the operator, spent by whoever registers with one.

use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx,
    tables::account::{REGISTRATION_TOKEN, StoredRegistrationToken},
};
use vestibule_types::{ClassName, limits};

use crate::Accounts;

/// A registration token to be made.
#[derive(Clone, Debug, Default)]
pub struct NewRegistrationToken {
    /// The token; `None` for a random one.
    pub token: Option<String>,
    /// How many accounts may be made with it.
    pub uses_max: Option<u64>,
    /// When it stops working, in milliseconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// The class of the accounts made with it.
    pub class: Option<ClassName>,
}

/// A registration token and how far it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token.
    pub token: String,
    /// Its row.
    pub row: StoredRegistrationToken,
}

/// Why a registration token was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTokenError {
    /// The specification's grammar.
    #[error("a registration token has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")]
    Grammar,
    /// There is one of that name.
    #[error("there is such a token already")]
    Taken,
    /// No such class, or it is not one that accounts are given; never admin.
    #[error("there is no class {0} that a token can give")]
    Class(ClassName),
    /// It could not be stored.
    #[error("could not store the token")]
    Storage(#[from] StorageError),
}

/// Whether the token lets somebody register now.
pub(crate) fn is_good(row: &StoredRegistrationToken, now: u64) -> bool {
    row.uses_max.is_none_or(|max| row.uses < max) && row.expires_at.is_none_or(|at| at > now)
}

/// Uses the token once. `Ok(None)` when it is no good any more; else its row.
pub(super) fn spend(
    tx: &mut Tx<'_>,
    token: &str,
    now: u64,
) -> Result<Option<StoredRegistrationToken>, StorageError> {
    let row = REGISTRATION_TOKEN.get(tx, (token,))?.filter(|row| is_good(row, now));
    let Some(mut row) = row else { return Ok(None) };
    row.uses = row.uses.saturating_add(1);
    REGISTRATION_TOKEN.put(tx, (token,), &row)?;
    Ok(Some(row))
}

impl Accounts {
    /// Makes a registration token.
    #[instrument(name = "accounts.registration.create_token", skip_all)]
    pub async fn create_registration_token(
        &self,
        command: NewRegistrationToken,
    ) -> Result<RegistrationToken, CreateTokenError> {
        let alphabet = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let token = command.token.unwrap_or_else(|| self.0.environment.random_text(alphabet, 20));
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._~-".contains(&c);
        if token.is_empty() || token.len() > 64 || !token.bytes().all(allowed) {
            return Err(CreateTokenError::Grammar);
        }
        if let Some(class) = &command.class
            && (class.is_admin() || !self.is_assignable(class))
        {
            return Err(CreateTokenError::Class(class.clone()));
        }
        let row = StoredRegistrationToken {
            uses_max: command.uses_max,
            uses: 0,
            expires_at: command.expires_at,
            class: command.class,
            created_at: self.0.now_ms(),
        };
        let made = RegistrationToken { token, row };
        let stored = made.clone();
        let slot = self.0.store.slot_of_user(&self.0.system_user);
        self.0
            .store
            .write(slot, move |tx| {
                if REGISTRATION_TOKEN.get(tx, (stored.token.as_str(),))?.is_some() {
                    return Err(CreateTokenError::Taken);
                }
                Ok(REGISTRATION_TOKEN.put(tx, (stored.token.as_str(),), &stored.row)?)
            })
            .await?;
        Ok(made)
    }

    /// The registration tokens, in order, from after `after` on.
    pub async fn registration_tokens(
        &self,
        limit: usize,
    ) -> Result<Vec<RegistrationToken>, StorageError> {
        let limit = limit.min(limits::ACCOUNTS_PER_PAGE_MAX);
        self.0
            .store
            .read(move |read| {
                let rows = REGISTRATION_TOKEN.scan(read, (), limit)?;
                Ok(rows
                    .into_iter()
                    .map(|((token,), row)| RegistrationToken { token, row })
                    .collect())
            })
            .await
    }

    /// Removes a registration token. Whether there was one.
    pub async fn delete_registration_token(&self, token: &str) -> Result<bool, StorageError> {
        let token = token.to_owned();
        let slot = self.0.store.slot_of_user(&self.0.system_user);
        let removed = self
            .0
            .store
            .write(slot, move |tx| {
                let there = REGISTRATION_TOKEN.get(tx, (token.as_str(),))?.is_some();
                REGISTRATION_TOKEN.delete(tx, (token.as_str(),))?;
                Ok::<_, StorageError>(there)
            })
            .await?;
        Ok(removed.value)
    }
}
