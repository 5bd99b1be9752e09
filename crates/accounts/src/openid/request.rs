//! Making a token.

use std::time::Duration;

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx,
    tables::{
        account::TokenDigest,
        openid::{OPENID_TOKEN, OPENID_TOKEN_BY_USER, StoredOpenidToken},
    },
};
use vestibule_types::{
    Actor, Secret,
    limits::{OPENID_TOKEN_LIFE, OPENID_TOKENS_PER_USER_MAX},
};

use crate::{Accounts, session::touch, token};

/// A new token. It is shown once.
#[derive(Clone, Debug)]
pub struct OpenidToken {
    /// The token.
    pub token: Secret,
    /// How long it works.
    pub expires_in: Duration,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum RequestOpenidTokenError {
    /// It is asked for somebody else.
    #[error("a token is only made for oneself")]
    SomebodyElse,
    /// Too many were asked for; one more may be after this time.
    #[error("too many tokens")]
    Limited(Duration),
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// A token that tells whoever has it who its owner is, for an hour. It opens nothing else.
    #[instrument(name = "accounts.openid.request", skip_all)]
    pub async fn request_openid_token(
        &self,
        actor: &Actor,
        user_id: &UserId,
    ) -> Result<OpenidToken, RequestOpenidTokenError> {
        if actor.user_id() != user_id {
            return Err(RequestOpenidTokenError::SomebodyElse);
        }
        let throttle = &self.0.throttles.openid_tokens;
        throttle
            .charge(user_id.as_str(), self.0.monotonic())
            .map_err(RequestOpenidTokenError::Limited)?;
        let token = token::mint_openid(&self.0.environment);
        let (digest, now) = (token::digest(token.expose()), self.0.now_ms());
        let life = u64::try_from(OPENID_TOKEN_LIFE.as_millis()).unwrap_or_default();
        let row =
            StoredOpenidToken { user_id: user_id.to_owned(), expires_at: now.saturating_add(life) };
        self.0.write(user_id, move |tx| store(tx, digest, &row, now)).await?;
        Ok(OpenidToken { token, expires_in: OPENID_TOKEN_LIFE })
    }
}

/// Stores a token and drops those that ended, and the first to end if there is no room.
fn store(
    tx: &mut Tx<'_>,
    digest: TokenDigest,
    row: &StoredOpenidToken,
    now: u64,
) -> Result<(), StorageError> {
    let user_id = &*row.user_id;
    touch(tx, user_id)?;
    let mut tokens = OPENID_TOKEN_BY_USER.scan(tx, (user_id,), OPENID_TOKENS_PER_USER_MAX)?;
    let full = tokens.len() >= OPENID_TOKENS_PER_USER_MAX;
    let ended = tokens.partition_point(|((_, expires_at, _), ())| *expires_at <= now);
    tokens.truncate(ended.max(usize::from(full)));
    drop_all(tx, tokens)?;
    OPENID_TOKEN.put(tx, (digest,), row)?;
    OPENID_TOKEN_BY_USER.put(tx, (user_id, row.expires_at, digest), &())
}

/// Withdraws every token of a user.
pub(crate) fn forget(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let tokens = OPENID_TOKEN_BY_USER.scan(tx, (user_id,), OPENID_TOKENS_PER_USER_MAX)?;
    drop_all(tx, tokens)
}

fn drop_all(
    tx: &mut Tx<'_>,
    tokens: Vec<((ruma::OwnedUserId, u64, TokenDigest), ())>,
) -> Result<(), StorageError> {
    for ((user_id, expires_at, digest), ()) in tokens {
        OPENID_TOKEN.delete(tx, (digest,))?;
        OPENID_TOKEN_BY_USER.delete(tx, (&*user_id, expires_at, digest))?;
    }
    Ok(())
}
