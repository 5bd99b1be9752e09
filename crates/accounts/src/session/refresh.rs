//! Exchanging a refresh token for a new pair.
//!
//! The old refresh token stays good until the new pair is used for the first time, so that a
//! client that never saw the answer can ask again; asking again revokes the pair that was lost.

use ruma::{OwnedDeviceId, OwnedUserId};
use tracing::instrument;
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::account::{
        REFRESH_BY_TOKEN, StoredAccountState, StoredExchange, StoredRefresh, TokenDigest,
    },
};
use vestibule_types::Secret;

use super::{
    Minted, NewSession,
    open::{ACCESS, REFRESH, revoke_token, store_tokens, touch},
};
use crate::{Accounts, TokenKind, facts, token};

/// The new pair.
pub type Refreshed = NewSession;

/// Why a token was not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is unknown or was used up.
    #[error("unknown refresh token")]
    Unknown,
    /// The account is locked.
    #[error("this account is locked")]
    Locked,
    /// The new pair could not be stored.
    #[error("could not store the new tokens")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Exchanges a refresh token for a new pair.
    #[instrument(name = "accounts.session.refresh", skip_all)]
    pub async fn refresh(&self, refresh_token: &Secret) -> Result<Refreshed, RefreshError> {
        if TokenKind::of(refresh_token.expose()) != Some(TokenKind::Refresh) {
            return Err(RefreshError::Unknown);
        }
        let digest = token::digest(refresh_token.expose());
        // Whose it is decides the slot; the row is read again inside the write.
        let (user_id, device_id) = self
            .0
            .store
            .read(move |read| owner(read, digest))
            .await?
            .ok_or(RefreshError::Unknown)?;
        let minted = self.mint(Some(device_id), true);
        let tokens = minted.clone();
        self.0.write(&user_id, move |tx| exchange(tx, digest, &tokens)).await?;
        Ok(minted.into_session(user_id))
    }
}

fn owner(
    read: &impl Read,
    digest: TokenDigest,
) -> Result<Option<(OwnedUserId, OwnedDeviceId)>, StorageError> {
    let row = REFRESH_BY_TOKEN.get(read, (digest,))?;
    Ok(row.map(|row| (row.user_id, row.device_id)))
}

fn exchange(tx: &mut Tx<'_>, digest: TokenDigest, minted: &Minted) -> Result<(), RefreshError> {
    let mut row = REFRESH_BY_TOKEN.get(tx, (digest,))?.ok_or(RefreshError::Unknown)?;
    let account = facts::account(tx, &row.user_id)?.ok_or(RefreshError::Unknown)?;
    match account.state {
        StoredAccountState::Deactivated => return Err(RefreshError::Unknown),
        StoredAccountState::Locked | StoredAccountState::LockedWhileSuspended => {
            return Err(RefreshError::Locked);
        }
        StoredAccountState::Active | StoredAccountState::Suspended => {}
    }
    let user_id = row.user_id.clone();
    touch(tx, &user_id)?;
    confirm(tx, &row.user_id.clone(), row.replaces.take())?;
    if let Some(lost) = row.next.take() {
        revoke_token(tx, &user_id, &row.device_id, (ACCESS, lost.access))?;
        revoke_token(tx, &user_id, &row.device_id, (REFRESH, lost.refresh))?;
    }
    store_tokens(tx, &user_id, minted, Some(digest))?;
    row.next = minted
        .refresh_digest()
        .map(|refresh| StoredExchange { access: minted.access_digest(), refresh });
    Ok(REFRESH_BY_TOKEN.put(tx, (digest,), &row)?)
}

/// The new pair was used: the refresh token it came from is spent, and so is the access token that
/// was given out beside that.
pub(crate) fn confirm(
    tx: &mut Tx<'_>,
    user_id: &ruma::UserId,
    replaced: Option<TokenDigest>,
) -> Result<(), StorageError> {
    let Some(replaced) = replaced else { return Ok(()) };
    let Some(old) = REFRESH_BY_TOKEN.get(tx, (replaced,))? else { return Ok(()) };
    let StoredRefresh { device_id, access, .. } = old;
    revoke_token(tx, user_id, &device_id, (ACCESS, access))?;
    revoke_token(tx, user_id, &device_id, (REFRESH, replaced))
}
