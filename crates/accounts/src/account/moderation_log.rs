//! What operators did to accounts: a ring of bounded length.

use ruma::OwnedUserId;
use vestibule_storage::{
    Scan, StorageError, Tx,
    tables::moderation::{MODERATION_ACT, MODERATION_NEXT, StoredModerationAct},
};
use vestibule_types::limits::{MODERATION_ACTS_MAX, MODERATION_ACTS_PER_PAGE_MAX};

use super::state::name;
use crate::Accounts;

/// One act upon an account, as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModerationAct {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The admin who did it; `None` for whoever sits at the machine.
    pub by: Option<OwnedUserId>,
    /// Whose account.
    pub user_id: OwnedUserId,
    /// `lock`, `unlock`, `suspend`, `unsuspend` or `deactivate`.
    pub act: &'static str,
}

impl Accounts {
    /// The newest acts upon accounts, newest first.
    pub async fn moderation_acts(&self, limit: usize) -> Result<Vec<ModerationAct>, StorageError> {
        let limit = limit.min(MODERATION_ACTS_PER_PAGE_MAX);
        self.0
            .store
            .read(move |read| {
                let newest = Scan::prefix(()).reverse().limit(limit);
                let rows = MODERATION_ACT.scan_with(read, newest)?.into_iter();
                Ok(rows.map(|(_, row)| shown(row)).collect())
            })
            .await
    }
}

/// Writes an act into the ring; it takes the place of the oldest when the ring is full.
pub(super) fn note(tx: &mut Tx<'_>, act: &StoredModerationAct) -> Result<(), StorageError> {
    let number = MODERATION_NEXT.get(tx, (0,))?.unwrap_or_default();
    MODERATION_NEXT.put(tx, (0,), &number.saturating_add(1))?;
    MODERATION_ACT.put(tx, (number,), act)?;
    match number.checked_sub(MODERATION_ACTS_MAX as u64) {
        Some(oldest) => MODERATION_ACT.delete(tx, (oldest,)),
        None => Ok(()),
    }
}

fn shown(row: StoredModerationAct) -> ModerationAct {
    let StoredModerationAct { at, by, user_id, kind } = row;
    ModerationAct { at, by, user_id, act: name(kind) }
}
