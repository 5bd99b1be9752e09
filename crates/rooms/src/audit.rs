//! What was refused: a bounded ring of denials for the operator.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vestibule_policy::{AddressBlock, Decision};
use vestibule_storage::{
    Scan, StorageError,
    tables::policy::{DENIAL_BY_TIME, StoredDenial},
};
use vestibule_types::limits::{AUDIT_AGE_MS_MAX, AUDIT_DENIALS_MAX};

use crate::Rooms;

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
    /// What it was about.
    pub object: String,
    /// Where from, truncated.
    pub address: Option<String>,
}

impl Rooms {
    /// Writes a refusal into the ring. Failing to is not the caller's problem: the refusal stands.
    pub async fn note_denial(&self, decision: &Decision, address: Option<IpAddr>) {
        if !self.inner.policy.current().audits_denials() {
            return;
        }
        let Some(denial) = decision.denial() else { return };
        let row = StoredDenial {
            user_id: decision.subject().to_string(),
            class: decision.class().to_string(),
            action: decision.action().to_owned(),
            reason: denial.reason.code().to_owned(),
            object: format!("{:?}", decision.object()),
            address: address.map(|address| AddressBlock::of(address).truncated().to_string()),
        };
        let (at, slot) =
            (self.inner.env.now_ms(), self.inner.store.slot_of_user(decision.subject()));
        let written = self.inner.store.write(slot, move |tx| {
            let stamp = tx.next_stamp();
            let slot = tx.slot().0;
            DENIAL_BY_TIME.put(tx, (at, slot, stamp), &row)?;
            let old = Scan::prefix(()).before((at.saturating_sub(AUDIT_AGE_MS_MAX),)).limit(16);
            for (key, _) in DENIAL_BY_TIME.scan_with(tx, old)? {
                DENIAL_BY_TIME.delete(tx, key)?;
            }
            Ok::<_, StorageError>(())
        });
        if let Err(error) = written.await {
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

fn shown(at: u64, row: StoredDenial) -> AuditedDenial {
    AuditedDenial {
        at,
        user_id: row.user_id,
        class: row.class,
        action: row.action,
        reason: row.reason,
        object: row.object,
        address: row.address,
    }
}
