//! Whose access token is this?
//!
//! Two reads: the session, and the account, whose row is the only place the class is read from. So
//! a change of class, a lock or a deactivation acts on live tokens at once; nothing is cached.

use std::net::IpAddr;

use tracing::instrument;
use vestibule_policy::Policy;
use vestibule_storage::{
    Read, StorageError,
    tables::account::{SESSION_BY_TOKEN, StoredAccountState, StoredSession, TokenDigest},
};
use vestibule_types::{Actor, Credential};

use super::{NewGuest, open::touch, refresh::confirm};
use crate::{Accounts, TokenKind, facts, gate::start_of_time, token};

/// Whose token it is, and whether that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Nobody's, or nobody's any more.
    Unknown,
    /// Its time is over; the client may refresh it or log in again and keep its device.
    Expired,
    /// A guest's who has no rows: what they do is done through [`NewGuest::act`].
    Arriving(Actor, NewGuest),
    /// Somebody's who may use their account.
    Active(Actor),
    /// Somebody's whose account is suspended: the policy leaves them the specification's list.
    Suspended(Actor),
    /// Somebody's whose account is locked: they may only log out.
    Locked(Actor),
}

/// Where a request came from, for the list of devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sighting<'a> {
    /// The address.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
}

impl Accounts {
    /// Finds whose access token this is and notes that its device was seen.
    #[instrument(name = "accounts.session.resolve", level = "debug", skip_all)]
    pub async fn resolve(&self, token: &str, seen: Sighting<'_>) -> Result<Resolved, StorageError> {
        match TokenKind::of(token) {
            Some(TokenKind::Stored) => self.resolve_stored(token, seen).await,
            Some(TokenKind::Guest) => self.resolve_guest(token, seen).await,
            Some(TokenKind::Refresh | TokenKind::Openid | TokenKind::Login) | None => {
                Ok(Resolved::Unknown)
            }
        }
    }

    pub(super) async fn resolve_stored(
        &self,
        token: &str,
        seen: Sighting<'_>,
    ) -> Result<Resolved, StorageError> {
        let (digest, now) = (token::digest(token), self.0.now_ms());
        let policy = self.0.policy.current();
        let address = seen.address.filter(|ip| !ip.is_unspecified());
        let found =
            match self.0.store.glance(|read| look_up(read, digest, (now, address), &policy))? {
                Some(found) => found,
                None => {
                    self.0
                        .store
                        .read(move |read| look_up(read, digest, (now, address), &policy))
                        .await?
                }
            };
        let Some((resolved, session)) = found else { return Ok(Resolved::Unknown) };
        if resolved == Resolved::Expired {
            return Ok(resolved);
        }
        self.0.sightings.note(&session.user_id, &session.device_id, now, seen);
        if session.replaces.is_some() {
            self.confirm_session(digest, &session).await?;
        }
        Ok(resolved)
    }

    /// The first use of a refreshed session spends what it came from.
    async fn confirm_session(
        &self,
        digest: TokenDigest,
        session: &StoredSession,
    ) -> Result<(), StorageError> {
        let user_id = session.user_id.clone();
        self.0
            .write(&session.user_id, move |tx| {
                let Some(mut session) = SESSION_BY_TOKEN.get(tx, (digest,))? else {
                    return Ok(());
                };
                touch(tx, &user_id)?;
                confirm(tx, &user_id, session.replaces.take())?;
                SESSION_BY_TOKEN.put(tx, (digest,), &session)
            })
            .await
    }
}

fn look_up(
    read: &impl Read,
    digest: TokenDigest,
    (now, address): (u64, Option<IpAddr>),
    policy: &Policy,
) -> Result<Option<(Resolved, StoredSession)>, StorageError> {
    let Some(session) = SESSION_BY_TOKEN.get(read, (digest,))? else { return Ok(None) };
    let Some(account) = facts::account(read, &session.user_id)? else { return Ok(None) };
    if session.expires_at.is_some_and(|at| at <= now) {
        return Ok(Some((Resolved::Expired, session)));
    }
    // The age of an account is looked at whenever it asks for something.
    let made_at = facts::timestamp(account.created_at);
    let ruling = policy
        .class_at(&account.class, made_at, facts::timestamp(now).unwrap_or_else(start_of_time))
        .map(|class| class.name().clone())
        .filter(|ruling| *ruling != account.class);
    let actor = Actor::new(
        session.user_id.clone(),
        Some(session.device_id.clone()),
        account.class,
        Credential::StoredSession,
    )
    .in_session(digest.0)
    .at_address(address);
    let actor = match ruling {
        Some(class) => actor.ruled_by(class),
        None => actor,
    };
    let resolved = match account.state {
        StoredAccountState::Active => Resolved::Active(actor),
        StoredAccountState::Suspended => Resolved::Suspended(actor),
        StoredAccountState::Locked | StoredAccountState::LockedWhileSuspended => {
            Resolved::Locked(actor)
        }
        StoredAccountState::Deactivated => Resolved::Unknown,
    };
    Ok(Some((resolved, session)))
}
