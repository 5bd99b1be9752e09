//! Looking at profiles.

use std::{collections::BTreeMap, net::IpAddr};

use ruma::UserId;
use serde_json::Value;
use tracing::instrument;
use vestibule_policy::{Action, Denial, Facts, RateFact, Reason, Request};
use vestibule_storage::{
    StorageError,
    tables::{account::StoredAccountState, user_data::PROFILE_FIELD},
};
use vestibule_types::{Actor, limits};

use crate::{Accounts, ProfileElsewhereError, Refused, facts};

/// Why a profile is not shown.
#[derive(Debug, thiserror::Error)]
pub enum LookUpProfileError {
    /// There is no such user here.
    #[error("there is no such user")]
    UnknownUser,
    /// The user's server did not tell.
    #[error(transparent)]
    Elsewhere(#[from] ProfileElsewhereError),
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The profile could not be read.
    #[error("could not read the profile")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// The profile of a user, as the caller may see it. For users of other servers their server is
    /// asked, but not for strangers, to whom guests are not shown either.
    #[instrument(name = "accounts.profile.look_up", skip_all)]
    pub async fn profile(
        &self,
        actor: Option<&Actor>,
        user_id: &UserId,
        peer: Option<IpAddr>,
    ) -> Result<BTreeMap<String, Value>, LookUpProfileError> {
        match actor {
            Some(actor) if actor.user_id() == user_id => {}
            Some(actor) => self.may_look_up(actor, user_id, peer).await?,
            None => self.may_be_seen_by_anybody(user_id).await?,
        }
        if user_id.server_name() != self.server_name() {
            let elsewhere = self.0.profiles_elsewhere.get().filter(|_| actor.is_some());
            let elsewhere = elsewhere.ok_or(LookUpProfileError::UnknownUser)?;
            return elsewhere.profile(user_id).await?.ok_or(LookUpProfileError::UnknownUser);
        }
        self.stored_profile(user_id).await
    }

    /// What is stored of a user of this server, whoever asks.
    pub(super) async fn stored_profile(
        &self,
        user_id: &UserId,
    ) -> Result<BTreeMap<String, Value>, LookUpProfileError> {
        let user = user_id.to_owned();
        self.0
            .store
            .read(move |read| {
                let account = facts::account(read, &user)?;
                let account = account.ok_or(LookUpProfileError::UnknownUser)?;
                let rows = PROFILE_FIELD.scan(read, (&user,), limits::PROFILE_BYTES_MAX)?;
                let fields = rows.into_iter().filter_map(|((_, field), json)| {
                    Some((field, serde_json::from_str(&json).ok()?))
                });
                let profile: BTreeMap<_, _> = fields.collect();
                // Nothing is left of who is gone.
                if profile.is_empty() && account.state == StoredAccountState::Deactivated {
                    return Err(LookUpProfileError::UnknownUser);
                }
                Ok(profile)
            })
            .await
    }

    /// Whoever is not logged in sees nobody of low trust. Where the policy shows them nobody at all, they are
    /// not told who exists.
    async fn may_be_seen_by_anybody(&self, user_id: &UserId) -> Result<(), LookUpProfileError> {
        if !self.0.policy.current().profiles_visible_without_login() {
            return Err(Denial::new(Reason::NoSharedRoom, false, "logging in").into());
        }
        if self.is_of_low_trust(user_id).await? {
            return Err(LookUpProfileError::UnknownUser);
        }
        Ok(())
    }

    /// Whether a user of this server is of a class that is kept apart from strangers.
    pub(super) async fn is_of_low_trust(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let user = user_id.to_owned();
        let account = self.0.store.read(move |read| facts::account(read, &user)).await?;
        let policy = self.0.policy.current();
        Ok(account.is_some_and(|account| policy.is_scoped(&account.class)))
    }

    /// Classes of low trust see, and are seen by, people they share a room with.
    async fn may_look_up(
        &self,
        actor: &Actor,
        target: &UserId,
        peer: Option<IpAddr>,
    ) -> Result<(), LookUpProfileError> {
        let user = actor.user_id().to_owned();
        let subject = self.0.store.read(move |read| facts::subject(read, &user)).await?;
        let subject = subject.ok_or(LookUpProfileError::UnknownUser)?;
        let low_trust = self.0.policy.current().is_scoped(&subject.class);
        let hidden = !low_trust && self.is_of_low_trust(target).await?;
        let shares_room = match self.0.acquaintance.get() {
            Some(acquaintance) if low_trust || hidden => {
                Some(acquaintance.share_room(actor.user_id(), target).await?)
            }
            _ => None,
        };
        if hidden && shares_room != Some(true) {
            let refused = Refused {
                user_id: actor.user_id(),
                class: &subject.class,
                action: Action::LookupProfile { target }.name(),
                reason: Reason::NoSharedRoom,
                address: peer,
            };
            self.0.ledger.refuse_plainly(refused, target.to_string()).await;
            return Err(Denial::new(Reason::NoSharedRoom, false, "being in a room together").into());
        }
        let action = Action::LookupProfile { target };
        let request = Request::new(&subject, action, self.0.environment.now(), peer);
        let mut facts = Facts { shares_room, ..Facts::default() };
        let policy = self.0.policy.current();
        let decision = policy.decide(&facts, &request);
        self.0.policy.record(&facts, &request, &decision);
        facts.rate = self.0.ledger.settle(&decision, peer).await?;
        if let RateFact::Exhausted { retry_after_ms } = facts.rate {
            return Err(Denial::limited(retry_after_ms).into());
        }
        Ok(policy.decide(&facts, &request).allowed()?)
    }
}
