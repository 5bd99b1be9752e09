//! Tokens with which somebody who is logged in lets one more client in: each works once, for a short
//! time.

use std::{net::IpAddr, time::Duration};

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx,
    tables::{
        account::TokenDigest,
        login_token::{LOGIN_TOKEN, LOGIN_TOKEN_BY_USER, StoredLoginToken},
    },
};
use vestibule_types::{
    Actor, Secret,
    limits::{LOGIN_TOKEN_LIFE, LOGIN_TOKENS_PER_USER_MAX},
};

use crate::{
    Accounts, TokenKind,
    session::touch,
    token,
    uia::{Attempt, Question, Stage, UiaError},
};

/// A new token. It is shown once.
#[derive(Clone, Debug)]
pub struct LoginToken {
    /// The token.
    pub token: Secret,
    /// How long it works.
    pub expires_in: Duration,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum RequestLoginTokenError {
    /// The operator switched them off.
    #[error("this server makes no login tokens")]
    Off,
    /// The account has nothing to prove with that it is its owner who asks.
    #[error("this account cannot prove who asks")]
    NoProof,
    /// Too many were made; one more may be after this time.
    #[error("too many login tokens")]
    Limited(Duration),
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// It could not be stored.
    #[error("could not store the login token")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// A token that lets one more client log in as the caller. The caller proves each time anew to be
    /// the owner of the account (client-server API, "`POST /login/get_token`").
    #[instrument(name = "accounts.session.request_login_token", skip_all)]
    pub async fn request_login_token(
        &self,
        actor: &Actor,
        attempt: Option<Attempt>,
        peer: IpAddr,
    ) -> Result<LoginToken, RequestLoginTokenError> {
        if !self.0.config.sessions.login_tokens {
            return Err(RequestLoginTokenError::Off);
        }
        let user_id = actor.user_id();
        let flows = self.owner_flows(user_id).await?;
        if flows.iter().flatten().any(|stage| *stage == Stage::Dummy) {
            return Err(RequestLoginTokenError::NoProof);
        }
        let throttle = &self.0.throttles.login_tokens;
        let limited = RequestLoginTokenError::Limited;
        throttle.check(user_id.as_str(), self.0.monotonic()).map_err(limited)?;
        let question = Question::of_owner("login token", flows, user_id, peer);
        self.authenticate(&question, attempt).await?;
        throttle.charge(user_id.as_str(), self.0.monotonic()).map_err(limited)?;
        let token = token::mint_login(&self.0.environment);
        let (digest, now) = (token::digest(token.expose()), self.0.now_ms());
        let life = u64::try_from(LOGIN_TOKEN_LIFE.as_millis()).unwrap_or_default();
        let row =
            StoredLoginToken { user_id: user_id.to_owned(), expires_at: now.saturating_add(life) };
        self.0.write(user_id, move |tx| store(tx, digest, &row, now)).await?;
        Ok(LoginToken { token, expires_in: LOGIN_TOKEN_LIFE })
    }

    /// Whose login token this is; `None` for one that never was, was used, or ended.
    pub(crate) async fn login_token_user(
        &self,
        token: &Secret,
    ) -> Result<Option<(OwnedUserId, TokenDigest)>, StorageError> {
        if TokenKind::of(token.expose()) != Some(TokenKind::Login) {
            return Ok(None);
        }
        let (digest, now) = (token::digest(token.expose()), self.0.now_ms());
        let row = self.0.store.read(move |read| LOGIN_TOKEN.get(read, (digest,))).await?;
        Ok(row.filter(|row| row.expires_at > now).map(|row| (row.user_id, digest)))
    }
}

/// Uses a token up. `false` if somebody else did.
pub(super) fn spend(tx: &mut Tx<'_>, digest: TokenDigest) -> Result<bool, StorageError> {
    let Some(row) = LOGIN_TOKEN.get(tx, (digest,))? else { return Ok(false) };
    drop_one(tx, (row.user_id, row.expires_at, digest))?;
    Ok(true)
}

/// Stores a token and drops those that ended, and the first to end if there is no room.
fn store(
    tx: &mut Tx<'_>,
    digest: TokenDigest,
    row: &StoredLoginToken,
    now: u64,
) -> Result<(), StorageError> {
    let user_id = &*row.user_id;
    touch(tx, user_id)?;
    let mut tokens = LOGIN_TOKEN_BY_USER.scan(tx, (user_id,), LOGIN_TOKENS_PER_USER_MAX)?;
    let full = tokens.len() >= LOGIN_TOKENS_PER_USER_MAX;
    let ended = tokens.partition_point(|((_, expires_at, _), ())| *expires_at <= now);
    tokens.truncate(ended.max(usize::from(full)));
    for (key, ()) in tokens {
        drop_one(tx, key)?;
    }
    LOGIN_TOKEN.put(tx, (digest,), row)?;
    LOGIN_TOKEN_BY_USER.put(tx, (user_id, row.expires_at, digest), &())
}

/// Withdraws every token of a user.
pub(super) fn forget(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    for (key, ()) in LOGIN_TOKEN_BY_USER.scan(tx, (user_id,), LOGIN_TOKENS_PER_USER_MAX)? {
        drop_one(tx, key)?;
    }
    Ok(())
}

fn drop_one(
    tx: &mut Tx<'_>,
    (user_id, expires_at, digest): (OwnedUserId, u64, TokenDigest),
) -> Result<(), StorageError> {
    LOGIN_TOKEN.delete(tx, (digest,))?;
    LOGIN_TOKEN_BY_USER.delete(tx, (&*user_id, expires_at, digest))
}
