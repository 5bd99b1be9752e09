//! What the sweep has before it.

use vestibule_storage::{StorageError, jobs};
use vestibule_types::limits::SCOPE_JOBS_LOOKED_AT;

use super::jobs::{GUEST_ACCESS, SCOPE};
use crate::Rooms;

impl Rooms {
    /// When the oldest job was due that looks at members whose room is not open any more, in milliseconds
    /// since the Unix epoch, if one is overdue. Looks at a bounded number of jobs.
    pub async fn oldest_scope_job(&self) -> Result<Option<u64>, StorageError> {
        let now = self.inner.env.now_ms();
        let look = move |read: &vestibule_storage::Snapshot<'_>| {
            jobs::due(read, None, now, SCOPE_JOBS_LOOKED_AT)
        };
        let due = self.inner.store.read(look).await?;
        let mut about_scope =
            due.into_iter().filter(|(_, job)| [SCOPE, GUEST_ACCESS].contains(&&*job.kind));
        Ok(about_scope.next().map(|(key, _)| key.due_ms))
    }
}
