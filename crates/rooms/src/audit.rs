//! What was refused: a bounded ring of denials for the operator.

use std::{net::IpAddr, ops::ControlFlow};

use serde::{Deserialize, Serialize};
use vestibule_policy::{AddressBlock, Decision};
use vestibule_storage::{
    Scan, SlotNo, StorageError, Tx,
    tables::policy::{DENIAL_BY_TIME, DENIALS_KEPT, StoredDenial},
};
use vestibule_types::limits::{AUDIT_AGE_MS_MAX, AUDIT_DENIALS_MAX, AUDIT_DROPPED_AT_ONCE};

use crate::Rooms;

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

impl Rooms {
    /// Writes a refusal into the ring, or what would be one if the policy did not only observe. Failing to is not the caller's problem: the refusal stands.
    pub async fn note_denial(&self, decision: &Decision, address: Option<IpAddr>) {
        self.note_denials(decision, 0, address).await;
    }

    /// Writes what was refused of one request into the ring, as one row: the first refusal, and how many
    /// there were beside it.
    pub async fn note_denials(&self, first: &Decision, more: usize, address: Option<IpAddr>) {
        if !self.inner.policy.current().audits_denials() {
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
            address: address.map(|address| AddressBlock::of(address).truncated().to_string()),
        };
        let at = self.inner.env.now_ms();
        let written = self.inner.store.write(SlotNo(0), move |tx| keep(tx, at, &row)).await;
        if let Err(error) = written {
            tracing::warn!(%error, "a refusal could not be written to the audit ring");
        }
    }

    /// The newest refusals, newest first.
    pub async fn denials(&self, limit: usize) -> Result<Vec<AuditedDenial>, StorageError> {
        let limit = limit.min(AUDIT_DENIALS_MAX);
        self.inner
            .store
            .read(move |snapshot| {
                let newest = Scan::prefix(()).reverse().limit(limit);
                let rows = DENIAL_BY_TIME.scan_with(snapshot, newest)?.into_iter();
                Ok(rows.map(|((at, ..), row)| shown(at, row)).collect())
            })
            .await
    }
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
