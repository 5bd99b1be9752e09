//! Asking the policy about what somebody does to their own account.
//!
//! A question is asked twice: once before the write, to charge the rate once, and once inside it,
//! from facts the write asserts. Only the second answer makes a permit.

use std::net::IpAddr;

use ruma::{MilliSecondsSinceUnixEpoch, UInt, UserId};
use vestibule_policy::{
    Action, Decision, Denial, Facts, Object, Permit, PermitKind, PolicyHandle, RateFact, Reason,
    Request, Spent, Subject,
};
use vestibule_storage::{Read, StorageError, Tx, tables::policy::POLICY_EPOCH};
use vestibule_types::Actor;

use crate::{Accounts, facts};

/// Why a permit was not had.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The facts could not be read.
    #[error("could not read the facts")]
    Storage(#[from] StorageError),
}

/// What somebody wants to do to their own account.
#[derive(Clone, Debug)]
pub(crate) enum OwnAct {
    SetDisplayname(Option<String>),
    SetAvatar,
    SetProfileField,
    AccountData,
}

impl OwnAct {
    fn action(&self) -> Action<'_> {
        match self {
            Self::SetDisplayname(name) => Action::SetDisplayname { name: name.as_deref() },
            Self::SetAvatar => Action::SetAvatar,
            Self::SetProfileField => Action::SetProfileField,
            Self::AccountData => Action::AccountData,
        }
    }
}

/// An act whose rate was charged, and for which a permit can be asked inside a write.
#[derive(Clone)]
pub(crate) struct Prepared {
    act: OwnAct,
    policy: PolicyHandle,
    now: MilliSecondsSinceUnixEpoch,
    ip: Option<IpAddr>,
    rate: RateFact,
}

impl Prepared {
    fn decide(&self, subject: &Subject) -> Decision {
        let request = Request::new(subject, self.act.action(), self.now, self.ip);
        let facts = Facts { rate: self.rate, ..Facts::default() };
        self.policy.current().decide(&facts, &request)
    }

    /// Asks for the permit and spends it.
    pub(crate) fn spend<K: PermitKind>(
        &self,
        tx: &Tx<'_>,
        user_id: &UserId,
    ) -> Result<Spent, Refusal> {
        let subject = known_subject(tx, user_id)?;
        let permit = self.decide(&subject).permit::<K>()?;
        spend(tx, permit, user_id, &Object::Own)
    }
}

impl Accounts {
    /// Asks the policy about an act and charges its rate.
    pub(crate) async fn prepare(
        &self,
        actor: &Actor,
        act: OwnAct,
        ip: Option<IpAddr>,
    ) -> Result<Prepared, Refusal> {
        let user_id = actor.user_id().to_owned();
        let subject = self.0.store.read(move |read| known_subject(read, &user_id)).await?;
        let mut prepared = Prepared {
            act,
            policy: self.0.policy.clone(),
            now: self.0.environment.now(),
            ip,
            rate: RateFact::NotCharged,
        };
        let decision = prepared.decide(&subject);
        let request = Request::new(&subject, prepared.act.action(), prepared.now, ip);
        self.0.policy.record(&Facts::default(), &request, &decision);
        prepared.rate = self.0.ledger.settle(&decision, ip).await?;
        Ok(prepared)
    }
}

/// Spends a permit under the policy in force. Read through a transaction, its batch asserts it: a change of
/// policy between decision and commit makes the batch run again.
pub fn spend<K: PermitKind>(
    read: &impl Read,
    permit: Permit<K>,
    subject: &UserId,
    object: &Object,
) -> Result<Spent, Refusal> {
    let epoch = POLICY_EPOCH.get(read, (0,))?.unwrap_or_default();
    Ok(permit.verify(subject, object, epoch).map_err(Denial::from)?)
}

/// Whoever acts, as the policy sees them; a deactivated account may nothing.
pub fn known_subject(read: &impl Read, user_id: &UserId) -> Result<Subject, Refusal> {
    let subject = facts::subject(read, user_id)?;
    Ok(subject.ok_or_else(|| Denial::new(Reason::AccountDeactivated, false, "an account"))?)
}

/// The moment that stands for a time beyond what the protocol can say.
pub(crate) fn start_of_time() -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::MIN)
}
