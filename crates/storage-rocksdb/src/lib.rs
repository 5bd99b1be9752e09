//! The embedded engine on RocksDB.
//!
//! One column family holds all tables, so that one write batch and one log cover everything. The
//! log keeps up to four old files for reuse: overwriting blocks that exist makes a sync about a
//! third cheaper than appending. An idle engine allocates little: write buffers and the block
//! cache grow with use.

mod options;
mod snapshot;

use std::path::Path;

use bytes::Bytes;
use rust_rocksdb::{
    DB, Error, ErrorKind, Options, ReadOptions, WriteBatch, WriteOptions, statistics::Ticker,
};
use vestibule_storage::{Engine, EngineOp, EngineSnapshot, StorageError};

pub use self::options::RocksOptions;
use self::snapshot::RocksSnapshot;

/// Ordered bytes in a RocksDB database. The embedded engine has one slot.
pub struct RocksEngine {
    db: DB,
    synced: WriteOptions,
    unsynced: WriteOptions,
    newest: ReadOptions,
    options: Options,
}

impl RocksEngine {
    /// Opens the database in a folder, or makes one there. Only one process can have it open.
    pub fn open(folder: &Path, options: &RocksOptions) -> Result<Self, StorageError> {
        let options = options.to_rocks();
        let db = DB::open(&options, folder).map_err(|error| outside(&error))?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let (unsynced, newest) = (WriteOptions::default(), ReadOptions::default());
        Ok(Self { db, synced, unsynced, newest, options })
    }

    /// A number the engine keeps about itself, by RocksDB's property name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<u64> {
        self.db.property_int_value(name).ok().flatten()
    }

    /// How often the log was synced, if that is counted.
    #[must_use]
    pub fn log_syncs(&self) -> u64 {
        self.options.get_ticker_count(Ticker::WalFileSynced)
    }
}

impl Engine for RocksEngine {
    fn slots(&self) -> u16 {
        1
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        Ok(Box::new(RocksSnapshot::new(&self.db)))
    }

    fn memory_snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        Ok(Box::new(RocksSnapshot::in_memory(&self.db)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let row = self.db.get_pinned_opt(key, &self.newest).map_err(|error| outside(&error))?;
        Ok(row.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError> {
        let bytes: usize = ops.iter().map(bytes_of).sum();
        let mut batch = WriteBatch::with_capacity_bytes(bytes);
        for op in ops {
            match op {
                EngineOp::Put(key, value) => batch.put(key, value),
                EngineOp::Delete(key) => batch.delete(key),
                EngineOp::DeleteRange(start, end) if start < end => batch.delete_range(start, end),
                EngineOp::DeleteRange(..) => {}
            }
        }
        let options = if sync { &self.synced } else { &self.unsynced };
        // RocksDB shows a batch to readers only after its log record is synced.
        self.db.write_opt(&batch, options).map_err(|error| outside(&error))
    }

    fn resume(&self) -> Result<(), StorageError> {
        // After a full disk RocksDB also tries by itself; this answers whether it is through.
        self.db.resume().map_err(StorageError::unavailable)
    }

    fn close(&self) -> Result<(), StorageError> {
        // What lies in tables need not be replayed from the log when the server starts again.
        self.db.flush().map_err(|error| outside(&error))
    }
}

/// Bytes one change takes in a write batch, and a little more.
fn bytes_of(op: &EngineOp) -> usize {
    let (one, other) = match op {
        EngineOp::Put(key, value) => (key.len(), value.len()),
        EngineOp::Delete(key) => (key.len(), 0),
        EngineOp::DeleteRange(start, end) => (start.len(), end.len()),
    };
    one + other + 16
}

/// RocksDB's errors in our words.
pub(crate) fn outside(error: &Error) -> StorageError {
    match error.kind() {
        ErrorKind::Corruption
        | ErrorKind::InvalidArgument
        | ErrorKind::NotSupported
        | ErrorKind::NotFound => StorageError::engine(error),
        _ => StorageError::unavailable(error),
    }
}
