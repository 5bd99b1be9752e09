//! Telling whose token it is.

use ruma::OwnedUserId;
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::{account::StoredAccountState, openid::OPENID_TOKEN},
};

use crate::{Accounts, TokenKind, facts, token};

impl Accounts {
    /// Whose `OpenID` token this is. `None` for one that never was, that ended, or whose owner's account
    /// is locked or gone.
    #[instrument(name = "accounts.openid.exchange", skip_all)]
    pub async fn openid_user(&self, token: &str) -> Result<Option<OwnedUserId>, StorageError> {
        if TokenKind::of(token) != Some(TokenKind::Openid) {
            return Ok(None);
        }
        let (digest, now) = (token::digest(token), self.0.now_ms());
        let found = self.0.store.read(move |read| {
            let Some(row) = OPENID_TOKEN.get(read, (digest,))? else { return Ok(None) };
            let account = facts::account(read, &row.user_id)?;
            let speaks = account.is_some_and(|account| match account.state {
                StoredAccountState::Active | StoredAccountState::Suspended => true,
                StoredAccountState::Locked
                | StoredAccountState::LockedWhileSuspended
                | StoredAccountState::Deactivated => false,
            });
            Ok((speaks && row.expires_at > now).then_some(row.user_id))
        });
        found.await
    }
}
