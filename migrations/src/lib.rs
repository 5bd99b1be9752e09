//! Numbered steps between on-disk formats.
//!
//! A database carries the number of the last step it went through. [`run`] takes it through those
//! that are missing, each in as many transactions as the step needs; a step that was interrupted
//! goes on where it stopped. A database of a newer server, of another server name, or of something
//! else altogether is refused, and not touched.
//!
//! A step that was released is frozen: its file does not change any more. A layout it uses that is
//! replaced later is copied into the step that replaces it.

mod error;
mod m0001_baseline;
mod m0002_room_indexes;
mod m0003_relations;
mod m0004_relations_by_sender;
mod step;

use std::ops::ControlFlow;

use ruma::ServerName;
use vestibule_storage::{
    Read, ScanRange, SlotNo, Snapshot, Store, Tx,
    tables::meta::{FORMAT_VERSION, MIGRATION_PROGRESS, SERVER, SLOT_POSITION},
};

pub use self::error::MigrationError;
use self::step::{Context, Progress, STEPS, Step};

/// Transactions of a step between two lines in the log.
const TRANSACTIONS_TOLD: u64 = 100;

/// The format this server reads and writes.
#[must_use]
pub fn newest_format() -> u64 {
    STEPS.last().map_or(0, |step| step.number)
}

/// Brings a database to the format of this server. `now_ms` is the time in milliseconds since the
/// Unix epoch. Answers with the numbers of the steps that ran.
pub async fn run(
    store: &Store,
    server_name: &ServerName,
    now_ms: u64,
) -> Result<Vec<u64>, MigrationError> {
    let name = server_name.to_owned();
    let format = store.read(move |snapshot| examine(snapshot, &name)).await?;
    let mut ran = Vec::new();
    for step in STEPS.iter().filter(|step| step.number > format) {
        tracing::info!(step = step.number, name = step.name, "migrating the database");
        let mut transactions = 1_u64;
        while !advance(store, step, Context::new(server_name, now_ms)).await? {
            if transactions.is_multiple_of(TRANSACTIONS_TOLD) {
                tracing::info!(step = step.number, transactions, "still migrating the database");
            }
            transactions += 1;
        }
        ran.push(step.number);
    }
    Ok(ran)
}

/// The database's format: 0 for an empty one. Refuses what is not ours to change.
fn examine(snapshot: &Snapshot<'_>, name: &ServerName) -> Result<u64, MigrationError> {
    let format = FORMAT_VERSION.get(snapshot, (0_u8,))?;
    if let Some(server) = SERVER.get(snapshot, (0_u8,))?
        && server.name != *name
    {
        return Err(MigrationError::OtherServer { stored: server.name, asked: name.to_owned() });
    }
    match format {
        Some(format) if format > newest_format() => {
            Err(MigrationError::UnknownFormat { found: format, newest: newest_format() })
        }
        Some(format) => Ok(format),
        None if is_empty(snapshot)? => Ok(0),
        None => Err(MigrationError::NotOurs),
    }
}

/// Whether nothing is stored but what the store itself and an interrupted first step leave.
fn is_empty(snapshot: &Snapshot<'_>) -> Result<bool, MigrationError> {
    let own = [SLOT_POSITION.info().id, MIGRATION_PROGRESS.info().id].map(u16::to_be_bytes);
    let mut empty = true;
    snapshot.scan_bytes(&ScanRange::prefix(Vec::new()), &mut |key, _| {
        if own.iter().any(|table| key.starts_with(table)) {
            return ControlFlow::Continue(());
        }
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// One transaction of a step; whether the step is through.
async fn advance(
    store: &Store,
    step: &'static Step,
    context: Context,
) -> Result<bool, MigrationError> {
    let committed = store.write(SlotNo(0), move |tx| take(tx, step, &context)).await?;
    Ok(committed.value)
}

fn take(tx: &mut Tx<'_>, step: &Step, context: &Context) -> Result<bool, MigrationError> {
    let from = MIGRATION_PROGRESS.get(tx, (step.number,))?;
    match (step.run)(tx, context, from.as_deref())? {
        Progress::Done => {
            MIGRATION_PROGRESS.delete(tx, (step.number,))?;
            FORMAT_VERSION.put(tx, (0_u8,), &step.number)?;
            Ok(true)
        }
        Progress::More(cursor) => {
            MIGRATION_PROGRESS.put(tx, (step.number,), &cursor)?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests;
