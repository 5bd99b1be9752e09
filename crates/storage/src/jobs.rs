//! Work that must happen, also after a restart.
//!
//! A job is enqueued in the transaction that makes it necessary. Whoever runs jobs asks for those
//! that are due, does the work in steps that may be repeated, and finishes or puts off the job in
//! a transaction of its own.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{Read, Scan, SlotNo, Stamp, StorageError, Tx, tables::job::JOB_BY_DUE, value};

/// A job as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredJob {
    /// Who knows what to do with the payload.
    pub kind: String,
    /// What to do, in that one's own encoding.
    pub payload: Vec<u8>,
    /// How often it was tried.
    pub attempts: u32,
}
value!(StoredJob, 1);

/// Names a job. It changes when the job is put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// When the job is due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    slot: SlotNo,
    stamp: Stamp,
}

impl Ord for JobKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for JobKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl JobKey {
    fn parts(self) -> (u64, u16, Stamp) {
        (self.due_ms, self.slot.0, self.stamp)
    }
}

/// Stages a job. It is due at `due_ms`, in milliseconds since the Unix epoch.
pub fn enqueue(
    tx: &mut Tx<'_>,
    kind: &str,
    payload: Vec<u8>,
    due_ms: u64,
) -> Result<(), StorageError> {
    let job = StoredJob { kind: kind.to_owned(), payload, attempts: 0 };
    put(tx, &job, due_ms)
}

/// Up to `limit` jobs that are due at `now_ms`, the longest overdue first; only those behind `after`,
/// where it is given.
pub fn due(
    reader: &(impl Read + ?Sized),
    after: Option<JobKey>,
    now_ms: u64,
    limit: usize,
) -> Result<Vec<(JobKey, StoredJob)>, StorageError> {
    let due = Scan::prefix(()).to((now_ms,)).limit(limit);
    rows(reader, after.map(JobKey::parts).into_iter().fold(due, Scan::after))
}

/// When the next job is due that is not due yet, if there is one.
pub fn next_due(reader: &(impl Read + ?Sized), now_ms: u64) -> Result<Option<u64>, StorageError> {
    let later = Scan::prefix(()).after((now_ms,)).limit(1);
    Ok(rows(reader, later)?.first().map(|(key, _)| key.due_ms))
}

/// Whether there is any job, due or not.
pub fn any(reader: &(impl Read + ?Sized)) -> Result<bool, StorageError> {
    Ok(!rows(reader, Scan::prefix(()).limit(1))?.is_empty())
}

/// Removes a job that is done. `false` if it is not there any more: somebody else finished it or
/// put it off, and this transaction should not take effect twice.
pub fn finish(tx: &mut Tx<'_>, job: JobKey) -> Result<bool, StorageError> {
    let there = JOB_BY_DUE.contains(tx, job.parts())?;
    if there {
        JOB_BY_DUE.delete(tx, job.parts())?;
    }
    Ok(there)
}

/// Puts a job off until `due_ms` and counts the attempt. `false` if it is not there any more.
pub fn retry(tx: &mut Tx<'_>, job: JobKey, due_ms: u64) -> Result<bool, StorageError> {
    let Some(mut stored) = JOB_BY_DUE.get(tx, job.parts())? else { return Ok(false) };
    JOB_BY_DUE.delete(tx, job.parts())?;
    stored.attempts = stored.attempts.saturating_add(1);
    put(tx, &stored, due_ms)?;
    Ok(true)
}

/// Replaces a job by what is left of it, due at `due_ms` and with no attempts counted: progress of
/// a long job. `false` if it is not there any more.
pub fn progress(
    tx: &mut Tx<'_>,
    job: JobKey,
    payload: Vec<u8>,
    due_ms: u64,
) -> Result<bool, StorageError> {
    let Some(stored) = JOB_BY_DUE.get(tx, job.parts())? else { return Ok(false) };
    JOB_BY_DUE.delete(tx, job.parts())?;
    put(tx, &StoredJob { payload, attempts: 0, ..stored }, due_ms)?;
    Ok(true)
}

fn put(tx: &mut Tx<'_>, job: &StoredJob, due_ms: u64) -> Result<(), StorageError> {
    let (slot, stamp) = (tx.slot(), tx.next_stamp());
    JOB_BY_DUE.put(tx, (due_ms, slot.0, stamp), job)
}

fn rows(
    reader: &(impl Read + ?Sized),
    scan: Scan<(u64, u16, Stamp)>,
) -> Result<Vec<(JobKey, StoredJob)>, StorageError> {
    let rows = JOB_BY_DUE.scan_with(reader, scan)?.into_iter();
    Ok(rows
        .map(|((due_ms, slot, stamp), job)| (JobKey { due_ms, slot: SlotNo(slot), stamp }, job))
        .collect())
}
