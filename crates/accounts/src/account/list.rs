//! Who has an account here.

use ruma::{OwnedUserId, UserId};
use vestibule_storage::{
    Scan, StorageError,
    tables::account::{ACCOUNT_BY_CLASS, ACCOUNT_BY_ID, StoredAccountState},
};
use vestibule_types::{ClassName, limits};

use crate::Accounts;

/// A line of the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// Its class.
    pub class: ClassName,
    /// What it may still do.
    pub state: StoredAccountState,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
}

impl Accounts {
    /// The account of one user; `None` when there is none.
    pub async fn summary(&self, user_id: &UserId) -> Result<Option<AccountSummary>, StorageError> {
        let user_id = user_id.to_owned();
        let read = move |read: &vestibule_storage::Snapshot<'_>| {
            let row = ACCOUNT_BY_ID.get(read, (&user_id,))?;
            Ok(row.map(|row| summary(user_id.clone(), row)))
        };
        self.0.store.read(read).await
    }

    /// Accounts by identifier, after `after`; of one class, or of all.
    pub async fn list(
        &self,
        class: Option<ClassName>,
        after: Option<OwnedUserId>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StorageError> {
        let limit = limit.min(limits::ACCOUNTS_PER_PAGE_MAX);
        self.0
            .store
            .read(move |read| {
                let ids: Vec<OwnedUserId> = match class {
                    None => {
                        let scan = Scan::prefix(()).limit(limit);
                        let scan = match &after {
                            Some(after) => scan.after((after,)),
                            None => scan,
                        };
                        let rows = ACCOUNT_BY_ID.scan_with(read, scan)?;
                        return Ok(rows.into_iter().map(|((id,), row)| summary(id, row)).collect());
                    }
                    Some(class) => {
                        let scan = Scan::prefix((&class,)).limit(limit);
                        let scan = match &after {
                            Some(after) => scan.after((&class, after)),
                            None => scan,
                        };
                        let rows = ACCOUNT_BY_CLASS.scan_with(read, scan)?;
                        rows.into_iter().map(|((_, id), ())| id).collect()
                    }
                };
                let rows = ACCOUNT_BY_ID.multi_get(read, ids.iter().map(|id| (id,)))?;
                let found = ids.into_iter().zip(rows);
                Ok(found.filter_map(|(id, row)| Some(summary(id, row?))).collect())
            })
            .await
    }
}

fn summary(
    user_id: OwnedUserId,
    row: vestibule_storage::tables::account::StoredAccount,
) -> AccountSummary {
    AccountSummary { user_id, class: row.class, state: row.state, created_at: row.created_at }
}
