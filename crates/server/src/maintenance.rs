//! What the admin API asks of the server itself.

use std::sync::Arc;

use vestibule_admin_api::{DatabaseAnswer, Maintenance, MaintenanceError};
use vestibule_storage::{Problem, StorageError, Store, check};
use vestibule_types::BoxFuture;

use crate::reload::Reloadable;

/// The server, as operators ask it.
pub(crate) struct Caretaker {
    pub(crate) store: Store,
    pub(crate) reloadable: Arc<Reloadable>,
}

impl Maintenance for Caretaker {
    fn check_database(&self) -> BoxFuture<'_, Result<DatabaseAnswer, MaintenanceError>> {
        Box::pin(async {
            let found = self.store.read::<_, StorageError, _>(|read| check(read)).await;
            let report = found.map_err(|cause| MaintenanceError::Failed(Box::new(cause)))?;
            Ok(DatabaseAnswer {
                rows: report.rows.values().sum(),
                problems_found: report.damaged,
                problems: report.problems.iter().map(told).collect(),
            })
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<String, MaintenanceError>> {
        Box::pin(async {
            let done = self.reloadable.reload().await;
            done.map_err(|reason| MaintenanceError::Refused(format!("{reason:#}")))
        })
    }
}

fn told(problem: &Problem) -> String {
    let table = problem.table.unwrap_or("no table");
    format!("{table} {}: {}", problem.key, problem.detail)
}
