//! One moment of the database.

use bytes::Bytes;
use rust_rocksdb::{DB, ReadOptions, Snapshot};
use vestibule_storage::{EngineSnapshot, ScanRange, StorageError, Visit};

use crate::outside;

pub(crate) struct RocksSnapshot<'a> {
    db: &'a DB,
    /// Read options of single rows, made once: they point at the snapshot.
    options: ReadOptions,
    snapshot: Snapshot<'a>,
}

impl<'a> RocksSnapshot<'a> {
    pub(crate) fn new(db: &'a DB) -> Self {
        let snapshot = db.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        Self { db, options, snapshot }
    }
}

impl EngineSnapshot for RocksSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let row = self.db.get_pinned_opt(key, &self.options).map_err(|error| outside(&error))?;
        Ok(row.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let sorted = keys.is_sorted();
        let rows = self.db.batched_multi_get_pinned_opt(keys, sorted, &self.options);
        rows.into_iter()
            .map(|row| match row {
                Ok(row) => Ok(row.map(|value| Bytes::copy_from_slice(&value))),
                Err(error) => Err(outside(&error)),
            })
            .collect()
    }

    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut options = ReadOptions::default();
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
        rows.status().map_err(|error| outside(&error))
    }
}
