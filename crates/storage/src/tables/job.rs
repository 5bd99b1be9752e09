//! Work that must happen, also after a restart. Read and written through [`crate::jobs`].

use crate::{Stamp, Table, jobs::StoredJob};

/// Jobs by when they are due; slot and stamp of where they were enqueued make them unique.
pub const JOB_BY_DUE: Table<(u64, u16, Stamp), StoredJob> = Table::new(0x0600, "job_by_due");
