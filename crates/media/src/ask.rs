//! Asking the policy: once before anything is received, where the rate is charged, and again inside
//! the write, where the answer becomes a permit.

use std::net::IpAddr;

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId};
use vestibule_accounts::{Refusal, known_subject, spend};
use vestibule_policy::{
    Action, Decision, Denial, Facts, Object, PolicyHandle, RateFact, Request, Subject, kind,
};
use vestibule_storage::Tx;
use vestibule_types::Actor;

use crate::Media;

/// An upload that was allowed and paid for.
#[derive(Clone)]
pub(crate) struct Asked {
    user: OwnedUserId,
    policy: PolicyHandle,
    now: MilliSecondsSinceUnixEpoch,
    address: Option<IpAddr>,
    rate: RateFact,
}

impl Asked {
    fn decide(&self, subject: &Subject) -> Decision {
        let request = Request::new(subject, Action::Upload, self.now, self.address);
        let facts = Facts { rate: self.rate, ..Facts::default() };
        self.policy.current().decide(&facts, &request)
    }

    /// Asks for the permit under the policy in force, which the batch asserts, and spends it.
    pub(crate) fn spend(&self, tx: &Tx<'_>) -> Result<(), Refusal> {
        let subject = known_subject(tx, &self.user)?;
        let permit = self.decide(&subject).permit::<kind::Upload>()?;
        spend(tx, permit, &self.user, &Object::Own)?;
        Ok(())
    }
}

impl Media {
    /// Asks whether the caller may do something that writes nothing, and charges for it.
    pub(crate) async fn charge(&self, actor: &Actor, action: Action<'_>) -> Result<(), Refusal> {
        let parts = &self.inner.parts;
        let user = actor.user_id().to_owned();
        let subject = parts.store.read(move |read| known_subject(read, &user)).await?;
        let now = parts.environment.now();
        let request = Request::new(&subject, action, now, actor.address());
        let decision = parts.policy.current().decide(&Facts::default(), &request);
        parts.policy.record(&Facts::default(), &request, &decision);
        match self.inner.ledger.settle(&decision, actor.address()).await? {
            RateFact::Exhausted { retry_after_ms } => Err(Denial::limited(retry_after_ms).into()),
            RateFact::NotCharged | RateFact::Charged => Ok(()),
        }
    }

    /// Asks whether the caller may upload, and charges for it.
    pub(crate) async fn ask(&self, actor: &Actor) -> Result<Asked, Refusal> {
        let parts = &self.inner.parts;
        let user = actor.user_id().to_owned();
        let reading = user.clone();
        let subject = parts.store.read(move |read| known_subject(read, &reading)).await?;
        let mut asked = Asked {
            user,
            policy: parts.policy.clone(),
            now: parts.environment.now(),
            address: actor.address(),
            rate: RateFact::NotCharged,
        };
        let decision = asked.decide(&subject);
        let request = Request::new(&subject, Action::Upload, asked.now, asked.address);
        parts.policy.record(&Facts::default(), &request, &decision);
        asked.rate = self.inner.ledger.settle(&decision, actor.address()).await?;
        if let RateFact::Exhausted { retry_after_ms } = asked.rate {
            return Err(Denial::limited(retry_after_ms).into());
        }
        Ok(asked)
    }
}
