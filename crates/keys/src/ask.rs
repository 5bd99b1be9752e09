//! Asking the policy: once before anything is done, where rates are charged and refusals noted, and
//! again inside the write that gives a key away, where the answer becomes a permit.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId};
use std::net::IpAddr;
use vestibule_accounts::{Acquaintance, Refusal, known_subject, spend};
use vestibule_policy::{
    Action, Decision, Denial, Facts, Object, PolicyHandle, RateFact, Reason, Request, Subject, kind,
};
use vestibule_storage::Tx;
use vestibule_types::Actor;

use crate::Keys;

/// What somebody wants to do with keys.
#[derive(Clone, Debug)]
pub(crate) enum KeyAct {
    /// Upload their own.
    Upload,
    /// See somebody's.
    Query(OwnedUserId),
    /// Take one of somebody's one-time keys.
    Claim(OwnedUserId),
}

impl KeyAct {
    fn action(&self) -> Action<'_> {
        match self {
            Self::Upload => Action::UploadKeys,
            Self::Query(target) => Action::QueryKeys { target },
            Self::Claim(target) => Action::ClaimKeys { target },
        }
    }

    fn object(&self) -> Object {
        match self {
            Self::Upload => Object::Own,
            Self::Query(target) | Self::Claim(target) => Object::User(target.clone()),
        }
    }

    fn target(&self) -> Option<&OwnedUserId> {
        match self {
            Self::Upload => None,
            Self::Query(target) | Self::Claim(target) => Some(target),
        }
    }
}

/// An act that was allowed and paid for, and for which a permit can be had inside a write.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) act: KeyAct,
    user: OwnedUserId,
    policy: PolicyHandle,
    now: MilliSecondsSinceUnixEpoch,
    address: Option<IpAddr>,
    rate: RateFact,
    shares_room: Option<bool>,
}

impl Asked {
    fn decide(&self, subject: &Subject) -> Decision {
        let request = Request::new(subject, self.act.action(), self.now, self.address);
        let (rate, shares_room) = (self.rate, self.shares_room);
        let facts = Facts { rate, shares_room, ..Facts::default() };
        self.policy.current().decide(&facts, &request)
    }

    /// Asks for the permit under the policy in force, which the batch asserts, and spends it.
    pub(crate) fn spend(&self, tx: &Tx<'_>) -> Result<(), Refusal> {
        let subject = known_subject(tx, &self.user)?;
        let permit = self.decide(&subject).permit::<kind::Keys>()?;
        spend(tx, permit, &self.user, &self.act.object())?;
        Ok(())
    }
}

impl Keys {
    /// Asks about one act of the caller.
    pub(crate) async fn ask(&self, actor: &Actor, act: KeyAct) -> Result<Asked, Refusal> {
        let asked = self.ask_all(actor, vec![act]).await?;
        let denied = || Denial::new(Reason::EndpointNotInClass, actor.is_guest(), "the ability");
        Ok(asked.into_iter().next().ok_or_else(denied)?)
    }

    /// Asks about several acts and charges for one. Those that are refused are left out; together they
    /// count as one refusal, which is noted for the operator.
    pub(crate) async fn ask_all(
        &self,
        actor: &Actor,
        acts: Vec<KeyAct>,
    ) -> Result<Vec<Asked>, Refusal> {
        let parts = &self.inner.parts;
        let user = actor.user_id().to_owned();
        let reading = user.clone();
        let subject = self.store().read(move |read| known_subject(read, &reading)).await?;
        let (policy, now) = (parts.policy.current(), parts.environment.now());
        let class = policy.effective_class(&subject, now);
        let scoped = class.is_none_or(|class| class.scope().is_some());
        let mut allowed = Vec::with_capacity(acts.len());
        let mut rate = RateFact::NotCharged;
        let (mut refused, mut more) = (None, 0_usize);
        for act in acts {
            let shares_room = match act.target() {
                Some(target) if scoped => Some(parts.rooms.share_room(&user, target).await?),
                _ => None,
            };
            let mut asked = Asked {
                act,
                user: user.clone(),
                policy: parts.policy.clone(),
                now,
                address: actor.address(),
                rate: RateFact::NotCharged,
                shares_room,
            };
            let decision = asked.decide(&subject);
            if decision.denial().is_some() {
                more += usize::from(refused.is_some());
                refused.get_or_insert(decision);
                continue;
            }
            if rate == RateFact::NotCharged {
                let now = parts.environment.clock.monotonic();
                rate = parts.rates.take(decision.charges(), now);
                parts.policy.count(&decision, rate);
                if let RateFact::Exhausted { retry_after_ms } = rate {
                    return Err(Denial::limited(retry_after_ms).into());
                }
            }
            asked.rate = rate;
            allowed.push(asked);
        }
        if let Some(first) = refused {
            parts.rooms.ledger().refuse(&first, more, actor.address()).await?;
        }
        Ok(allowed)
    }
}
