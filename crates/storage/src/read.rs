//! Reading, the same from a snapshot and inside a write.

use bytes::Bytes;

use crate::{
    EngineSnapshot, Positions, ScanRange, SlotNo, StorageError, Tx, Value, Visit,
    tables::meta::SLOT_POSITION,
};

/// Something rows can be read from.
pub trait Read {
    /// One row.
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// Several rows, in the order of the keys asked for.
    fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Rows of a stretch in its order, until the visitor has enough.
    fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError>;
}

impl<R: Read + ?Sized> Read for &R {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        (**self).get_bytes(key)
    }

    fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        (**self).multi_get_bytes(keys)
    }

    fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        (**self).scan_bytes(range, visit)
    }
}

/// One consistent moment of the store.
pub struct Snapshot<'a> {
    inner: &'a dyn EngineSnapshot,
    slots: u16,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(inner: &'a dyn EngineSnapshot, slots: u16) -> Self {
        Self { inner, slots }
    }

    /// The last commit of one slot that this snapshot shows.
    pub fn position(&self, slot: SlotNo) -> Result<u64, StorageError> {
        Ok(SLOT_POSITION.get(self, (slot.0,))?.unwrap_or_default())
    }

    /// The last commit of every slot that this snapshot shows: exactly what lies in it.
    pub fn positions(&self) -> Result<Positions, StorageError> {
        let commits = SLOT_POSITION.multi_get(self, (0..self.slots).map(|slot| (slot,)))?;
        Ok(commits.into_iter().map(Option::unwrap_or_default).collect())
    }
}

impl Read for Snapshot<'_> {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.inner.get(key)
    }

    fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.inner.multi_get(keys)
    }

    fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.inner.scan(range, visit)
    }
}

/// Reads of a write that are not asserted: for rows that never change once written.
#[derive(Clone, Copy)]
pub struct Fixed<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

impl Read for Fixed<'_> {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.tx.get_unasserted(key)
    }

    fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.tx.multi_get_unasserted(keys)
    }

    fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.tx.scan_bytes(range, visit)
    }
}

pub(crate) fn decode<V: Value>(table: &'static str, bytes: &[u8]) -> Result<V, StorageError> {
    V::decode(bytes).map_err(|detail| StorageError::Corrupt { table, detail })
}
