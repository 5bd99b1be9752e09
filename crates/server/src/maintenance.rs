//! What the admin API asks of the server itself.

use std::sync::Arc;

use ruma::OwnedUserId;
use vestibule_admin_api::{DatabaseAnswer, GuestsSwitch, Maintenance, MaintenanceError};
use vestibule_storage::{Problem, StorageError, Store, check, tables::policy::StoredGuestsOff};
use vestibule_types::{BoxFuture, Environment};

use crate::reload::Reloadable;

/// The server, as operators ask it.
pub(crate) struct Caretaker {
    pub(crate) store: Store,
    pub(crate) reloadable: Arc<Reloadable>,
    pub(crate) environment: Environment,
}

impl Maintenance for Caretaker {
    fn check_database(&self) -> BoxFuture<'_, Result<DatabaseAnswer, MaintenanceError>> {
        Box::pin(async {
            let found = self.store.read::<_, StorageError, _>(|read| Ok(check(read))).await;
            let report = found.map_err(|cause| MaintenanceError::Failed(Box::new(cause)))?;
            Ok(DatabaseAnswer {
                rows: report.rows.values().sum(),
                problems_found: report.damaged,
                problems: report.problems.iter().map(told).collect(),
            })
        })
    }

    fn switch_guests(
        &self,
        switch: GuestsSwitch,
        by: Option<OwnedUserId>,
    ) -> BoxFuture<'_, Result<(), MaintenanceError>> {
        Box::pin(async move {
            if switch.evict && !switch.off {
                let text = "guests are put out by switching them off, not on".to_owned();
                return Err(MaintenanceError::Refused(text));
            }
            let off = switch.off.then(|| StoredGuestsOff {
                at: self.environment.now_ms(),
                by: by.map(|it| it.to_string()),
                evict: switch.evict,
            });
            tracing::info!(off = switch.off, evict = switch.evict, "guests were switched");
            let done = self.reloadable.switch_guests(off).await;
            done.map_err(|cause| MaintenanceError::Failed(Box::new(cause)))
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
    let place = format!("{table} {}", problem.key);
    format!("{}: {}", place.trim_end(), problem.detail)
}
