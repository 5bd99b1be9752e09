//! What an engine must do: ordered bytes, snapshots, atomic batches.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use crate::StorageError;

/// A stretch of keys, and the direction to walk it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRange {
    /// The first key of the stretch.
    pub start: Vec<u8>,
    /// The first key beyond the stretch; `None` for everything from `start` on.
    pub end: Option<Vec<u8>>,
    /// Whether to walk from the greatest key to the least.
    pub reverse: bool,
}

impl ScanRange {
    /// Every key that begins with `prefix`, ascending.
    #[must_use]
    pub fn prefix(prefix: Vec<u8>) -> Self {
        let end = successor(&prefix);
        Self { start: prefix, end, reverse: false }
    }

    /// Whether no key can lie in the stretch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The least key that is greater than every key beginning with `prefix`.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(last) = last.checked_add(1) {
            next.push(last);
            return Some(next);
        }
    }
    None
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineOp {
    /// Writes a row.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a row.
    Delete(Vec<u8>),
    /// Removes every row from the first key up to, but not including, the second.
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// Sees rows of a scan; answers whether to go on.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// A consistent moment of an engine. Short-lived: it keeps old versions of rows from going away.
pub trait EngineSnapshot {
    /// One row.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// Several rows, in the order of the keys asked for.
    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Rows of a stretch in its order, until the visitor has enough.
    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError>;

    /// Whether a read of this moment failed only because the row does not lie in memory; see
    /// [`Engine::memory_snapshot`].
    fn missed(&self) -> bool {
        false
    }
}

/// Ordered bytes with snapshots and atomic batches. It knows nothing of tables, stamps or
/// assertions. Only one thread calls `apply`, `resume` and `close`.
pub trait Engine: Send + Sync + 'static {
    /// How many slots this engine keeps apart.
    fn slots(&self) -> u16;

    /// The engine as of now: everything applied before this call, nothing applied after it.
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError>;

    /// As [`Engine::snapshot`], for a thread that must not wait for a disk: reading a row that does not
    /// lie in memory fails, and [`EngineSnapshot::missed`] says so.
    fn memory_snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        self.snapshot()
    }

    /// One row as of now.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.snapshot()?.get(key)
    }

    /// Applies all changes, in order, or none. With `sync` they are on disk when this returns;
    /// without, they survive the death of the process but not of the machine. Snapshots see the
    /// changes only once they are as safe as asked for.
    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError>;

    /// Tries to work again after a failed `apply`.
    fn resume(&self) -> Result<(), StorageError>;

    /// Puts everything in its place for a fast start. Nothing is applied afterwards.
    fn close(&self) -> Result<(), StorageError>;
}

impl<E: Engine + ?Sized> Engine for Arc<E> {
    fn slots(&self) -> u16 {
        (**self).slots()
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        (**self).snapshot()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        (**self).get(key)
    }

    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError> {
        (**self).apply(ops, sync)
    }

    fn resume(&self) -> Result<(), StorageError> {
        (**self).resume()
    }

    fn close(&self) -> Result<(), StorageError> {
        (**self).close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_lies_beyond_every_key_with_the_prefix() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff, 0xff]), None);
        assert_eq!(successor(&[]), None);
    }
}
