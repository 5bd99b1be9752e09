//! One moment of the database.

use std::cell::Cell;

use bytes::Bytes;
use rust_rocksdb::{DB, Error, ErrorKind, ReadOptions, ReadTier, Snapshot};
use vestibule_storage::{EngineSnapshot, ScanRange, StorageError, Visit};

use crate::outside;

pub(crate) struct RocksSnapshot<'a> {
    db: &'a DB,
    /// Read options of single rows, made once: they point at the snapshot.
    options: ReadOptions,
    snapshot: Snapshot<'a>,
    tier: ReadTier,
    missed: Cell<bool>,
}

impl<'a> RocksSnapshot<'a> {
    pub(crate) fn new(db: &'a DB) -> Self {
        Self::of(db, ReadTier::All)
    }

    /// Shows only what lies in write buffers and in the block cache.
    pub(crate) fn in_memory(db: &'a DB) -> Self {
        Self::of(db, ReadTier::BlockCache)
    }

    fn of(db: &'a DB, tier: ReadTier) -> Self {
        let snapshot = db.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        options.set_read_tier(tier);
        Self { db, options, snapshot, tier, missed: Cell::new(false) }
    }

    fn failed(&self, error: &Error) -> StorageError {
        self.missed.set(self.missed.get() || error.kind() == ErrorKind::Incomplete);
        outside(error)
    }
}

impl EngineSnapshot for RocksSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let row =
            self.db.get_pinned_opt(key, &self.options).map_err(|error| self.failed(&error))?;
        Ok(row.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let sorted = keys.is_sorted();
        let rows = self.db.batched_multi_get_pinned_opt(keys, sorted, &self.options);
        rows.into_iter()
            .map(|row| match row {
                Ok(row) => Ok(row.map(|value| Bytes::copy_from_slice(&value))),
                Err(error) => Err(self.failed(&error)),
            })
            .collect()
    }

    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_read_tier(self.tier);
        options.set_iterate_lower_bound(range.start.as_slice());
        if let Some(end) = &range.end {
            options.set_iterate_upper_bound(end.as_slice());
        }
        let mut rows = self.snapshot.raw_iterator_opt(options);
        if range.reverse {
            rows.seek_to_last();
        } else {
            rows.seek(&range.start);
        }
        while let Some((key, value)) = rows.item() {
            if visit(key, value).is_break() {
                return Ok(());
            }
            if range.reverse {
                rows.prev();
            } else {
                rows.next();
            }
        }
        rows.status().map_err(|error| self.failed(&error))
    }

    fn missed(&self) -> bool {
        self.missed.get()
    }
}
