//! Where decisions about requests go once they are made: they are counted, their rate is charged, and
//! what was refused is kept for the operator in a bounded ring.

use std::{net::IpAddr, ops::ControlFlow, sync::Arc};

use ruma::{ServerName, UserId};
use serde::{Deserialize, Serialize};
use vestibule_policy::{
    AddressBlock, CALL, Decision, Denial, PolicyHandle, RateBuckets, RateFact, RateWho, Reason,
    Told,
};
use vestibule_storage::{
    Scan, SlotNo, StorageError, Store, Tx,
    tables::policy::{DENIAL_BY_TIME, DENIALS_KEPT, StoredDenial},
};
use vestibule_types::{
    Actor, ClassName, Environment,
    limits::{AUDIT_AGE_MS_MAX, AUDIT_DENIALS_MAX, AUDIT_DROPPED_AT_ONCE},
};

/// Begins the stored reason of what was let pass, because the policy only observes.
const OBSERVED: &str = "observed ";

/// A refusal as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedDenial {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Who.
    pub user_id: String,
    /// Their class.
    pub class: String,
    /// What they wanted to do.
    pub action: String,
    /// Why not: the stable code.
    pub reason: String,
    /// Whether it was let pass, because the policy only observes.
    pub observed: bool,
    /// What it was about.
    pub object: String,
    /// Where from, truncated.
    pub address: Option<String>,
}

/// Counts decisions, charges their rates, and keeps what was refused. Each service has its own over the
/// same store, policy and buckets. Cloning is cheap.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
    policy: PolicyHandle,
    rates: Arc<RateBuckets>,
    environment: Environment,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

/// Somebody who was refused something without a decision about it: the rule needs no facts.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Who.
    pub user_id: &'a UserId,
    /// Their class.
    pub class: &'a ClassName,
    /// What they wanted to do: a name of the policy's actions, or [`CALL`].
    pub action: &'static str,
    /// Why not.
    pub reason: Reason,
    /// Where from.
    pub address: Option<IpAddr>,
}

impl Ledger {
    /// A ledger over what all services share.
    #[must_use]
    pub fn new(
        store: Store,
        policy: PolicyHandle,
        rates: Arc<RateBuckets>,
        environment: Environment,
    ) -> Self {
        Self { store, policy, rates, environment }
    }

    /// Charges the rate of an allowed act; notes a refused one.
    pub async fn settle(
        &self,
        decision: &Decision,
        address: Option<IpAddr>,
    ) -> Result<RateFact, Denial> {
        if let Some(denial) = decision.denial() {
            self.refuse(decision, 0, address).await?;
            return Err(denial);
        }
        Ok(self.charge(decision, address).await)
    }

    /// Charges the rate of an allowed act, and notes what is only observed.
    pub async fn charge(&self, decision: &Decision, address: Option<IpAddr>) -> RateFact {
        let now = self.environment.clock.monotonic();
        let rate = self.rates.take(decision.charges(), now);
        self.policy.count(decision, rate);
        if decision.observed().is_some() {
            self.keep(decision, 0, address).await;
        }
        rate
    }

    /// Counts that something of a request was refused, and notes it: the first refusal, and how many there
    /// were beside it. Whoever was refused too often is told to wait, and writes nothing.
    pub async fn refuse(
        &self,
        first: &Decision,
        more: usize,
        address: Option<IpAddr>,
    ) -> Result<(), Denial> {
        let Some(denial) = first.denial() else { return Ok(()) };
        let now = self.environment.clock.monotonic();
        let counted = self.rates.refuse(first.subject(), denial, now);
        if counted.reason == Reason::TooManyRefusals {
            let told = Told::refused(first.class(), first.action(), counted.reason);
            self.policy.count_told(&told);
            return Err(counted);
        }
        self.policy.count(first, RateFact::Charged);
        // Names of guests without rows cost nothing: of their refusals a few are written down.
        let from = address.map_or(RateWho::Class, |it| RateWho::Address(AddressBlock::of(it)));
        if self.store.newcomer().is_none() || self.may_note(from) {
            self.keep(first, more, address).await;
        }
        Ok(())
    }

    /// Notes what somebody without an account was refused: nobody can be told to wait for long, so of a
    /// flood a few are written down, for each address and in all.
    pub async fn refuse_stranger(&self, decision: &Decision, peer: IpAddr) {
        self.policy.count(decision, RateFact::Charged);
        if self.may_note(RateWho::Address(AddressBlock::of(peer))) {
            self.keep(decision, 0, Some(peer)).await;
        }
    }

    /// Notes what was refused of an act of another server, a few a minute for each.
    pub async fn refuse_server(&self, decision: &Decision, server: &ServerName) {
        self.policy.count(decision, RateFact::Charged);
        if self.may_note(RateWho::Server(server.to_owned())) {
            self.keep(decision, 0, None).await;
        }
    }

    /// Notes a refusal that no decision was made for, a few a minute for each account: it costs whoever was
    /// refused nothing.
    pub async fn refuse_plainly(&self, refused: Refused<'_>, object: String) {
        self.policy.count_told(&Told::refused(refused.class, refused.action, refused.reason));
        if let Some(row) = self.plain_row(refused, object) {
            self.write(row).await;
        }
    }

    /// Notes in the background that a class may not use an endpoint, a few times a minute for each account.
    pub fn refuse_call(&self, actor: &Actor, reason: Reason, endpoint: &str) {
        let refused = Refused {
            user_id: actor.user_id(),
            class: actor.ruling_class(),
            action: CALL,
            reason,
            address: actor.address(),
        };
        self.policy.count_told(&Told::refused(refused.class, refused.action, reason));
        if let Some(row) = self.plain_row(refused, endpoint.to_owned()) {
            let ledger = self.clone();
            let work = async move { ledger.write(row).await };
            self.environment.spawner.spawn("audit", Box::pin(work));
        }
    }

    /// The row to write, if there is one to be written.
    fn plain_row(&self, refused: Refused<'_>, object: String) -> Option<StoredDenial> {
        let wanted = self.policy.current().audits_denials();
        let subject = RateWho::Subject(refused.user_id.to_owned());
        (wanted && self.may_note(subject)).then(|| StoredDenial {
            user_id: refused.user_id.to_string(),
            class: refused.class.to_string(),
            action: refused.action.to_owned(),
            reason: refused.reason.code().to_owned(),
            object,
            address: truncated(refused.address),
        })
    }

    fn may_note(&self, who: RateWho) -> bool {
        let now = self.environment.clock.monotonic();
        self.rates.may_note(who, now) && self.rates.may_note(RateWho::Class, now)
    }

    /// Writes what was refused of one request into the ring, as one row, or what would be refused if the
    /// policy did not only observe. Failing to is not the caller's problem: the refusal stands.
    async fn keep(&self, first: &Decision, more: usize, address: Option<IpAddr>) {
        if !self.policy.current().audits_denials() {
            return;
        }
        let reason = match (first.denial(), first.observed()) {
            (Some(denial), _) => denial.reason.code().to_owned(),
            (None, Some(reason)) => format!("{OBSERVED}{}", reason.code()),
            (None, None) => return,
        };
        let object = match (first.object(), more) {
            (object, 0) => format!("{object:?}"),
            (object, more) => format!("{object:?} and {more} more"),
        };
        let row = StoredDenial {
            user_id: first.subject().to_string(),
            class: first.class().to_string(),
            action: first.action().to_owned(),
            reason,
            object,
            address: truncated(address),
        };
        self.write(row).await;
    }

    async fn write(&self, row: StoredDenial) {
        let at = self.environment.now_ms();
        let written = self.store.write_apart(SlotNo(0), move |tx| keep(tx, at, &row)).await;
        if let Err(error) = written {
            tracing::warn!(%error, "a refusal could not be written to the audit ring");
        }
    }

    /// The newest refusals, newest first.
    pub async fn denials(&self, limit: usize) -> Result<Vec<AuditedDenial>, StorageError> {
        let limit = limit.min(AUDIT_DENIALS_MAX);
        self.store
            .read(move |snapshot| {
                let newest = Scan::prefix(()).reverse().limit(limit);
                let rows = DENIAL_BY_TIME.scan_with(snapshot, newest)?.into_iter();
                Ok(rows.map(|((at, ..), row)| shown(at, row)).collect())
            })
            .await
    }
}

/// An address as the operator is shown it.
fn truncated(address: Option<IpAddr>) -> Option<String> {
    address.map(|address| AddressBlock::of(address).truncated().to_string())
}

/// Keeps a refusal; what is too old, or too much, makes room.
fn keep(tx: &mut Tx<'_>, at: u64, row: &StoredDenial) -> Result<(), StorageError> {
    let mut kept = match DENIALS_KEPT.get(&*tx, (0,))? {
        Some(kept) => kept,
        None => count(tx)?,
    };
    let (stamp, slot) = (tx.next_stamp(), tx.slot().0);
    let most = u64::try_from(AUDIT_DENIALS_MAX).unwrap_or(u64::MAX);
    let too_old = at.saturating_sub(AUDIT_AGE_MS_MAX);
    let oldest = Scan::prefix(()).limit(AUDIT_DROPPED_AT_ONCE);
    for (key, _) in DENIAL_BY_TIME.scan_with(&*tx, oldest)? {
        if kept < most && key.0 >= too_old {
            break;
        }
        DENIAL_BY_TIME.delete(tx, key)?;
        kept = kept.saturating_sub(1);
    }
    DENIAL_BY_TIME.put(tx, (at, slot, stamp), row)?;
    DENIALS_KEPT.put(tx, (0,), &kept.saturating_add(1))
}

/// Counts what was kept before anybody counted.
fn count(tx: &Tx<'_>) -> Result<u64, StorageError> {
    let mut kept = 0_u64;
    DENIAL_BY_TIME.each(&tx.fixed(), Scan::prefix(()), |_, _| {
        kept = kept.saturating_add(1);
        ControlFlow::Continue(())
    })?;
    Ok(kept)
}

fn shown(at: u64, row: StoredDenial) -> AuditedDenial {
    let observed = row.reason.strip_prefix(OBSERVED).map(str::to_owned);
    AuditedDenial {
        at,
        user_id: row.user_id,
        class: row.class,
        action: row.action,
        observed: observed.is_some(),
        reason: observed.unwrap_or(row.reason),
        object: row.object,
        address: row.address,
    }
}
