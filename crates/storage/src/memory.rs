//! An engine in memory: for tests and simulation.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::{Engine, EngineOp, EngineSnapshot, ScanRange, StorageError, engine::Visit};

/// Rows shown to a visitor between two looks at the map.
const CHUNK: usize = 128;

/// An engine in memory. Clones lead to the same rows, so a store can be opened again over them.
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    slots: u16,
    rows: Arc<RwLock<Rows>>,
    snapshots: Arc<Mutex<BTreeMap<u64, usize>>>,
}

/// Every row with its versions, oldest first; `None` is a removed row.
#[derive(Debug, Default)]
struct Rows {
    versions: BTreeMap<Vec<u8>, Vec<(u64, Option<Bytes>)>>,
    applied: u64,
    /// Rows that may hold versions nobody can see any more.
    stale: Vec<Vec<u8>>,
}

impl MemoryEngine {
    /// An empty engine that keeps `slots` slots apart.
    #[must_use]
    pub fn new(slots: u16) -> Self {
        Self { slots, rows: Arc::default(), snapshots: Arc::default() }
    }
}

impl Engine for MemoryEngine {
    fn slots(&self) -> u16 {
        self.slots
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        // Registered before `apply` can look, so nothing this snapshot shows is dropped.
        let rows = self.rows.read();
        let at = rows.applied;
        *self.snapshots.lock().entry(at).or_default() += 1;
        Ok(Box::new(MemorySnapshot { engine: self, at }))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let rows = self.rows.read();
        Ok(visible(rows.versions.get(key), rows.applied))
    }

    fn apply(&self, ops: &[EngineOp], _sync: bool) -> Result<(), StorageError> {
        let mut rows = self.rows.write();
        rows.applied += 1;
        for op in ops {
            match op {
                EngineOp::Put(key, value) => {
                    rows.write(key.clone(), Some(Bytes::copy_from_slice(value)));
                }
                EngineOp::Delete(key) => rows.write(key.clone(), None),
                EngineOp::DeleteRange(start, end) if start < end => {
                    let covered: Vec<Vec<u8>> = rows
                        .versions
                        .range(start.clone()..end.clone())
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in covered {
                        rows.write(key, None);
                    }
                }
                EngineOp::DeleteRange(..) => {}
            }
        }
        let oldest = self.snapshots.lock().keys().next().copied();
        let oldest = oldest.unwrap_or(rows.applied);
        rows.forget_before(oldest);
        Ok(())
    }

    fn resume(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Rows {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        let applied = self.applied;
        let versions = match self.versions.entry(key) {
            Entry::Vacant(_) if value.is_none() => return,
            Entry::Vacant(entry) => {
                entry.insert(vec![(applied, value)]);
                return;
            }
            Entry::Occupied(entry) => {
                self.stale.push(entry.key().clone());
                entry.into_mut()
            }
        };
        match versions.last_mut() {
            Some((at, last)) if *at == applied => *last = value,
            _ => versions.push((applied, value)),
        }
    }

    /// Drops versions that no snapshot taken at or after `oldest` can see.
    fn forget_before(&mut self, oldest: u64) {
        for key in std::mem::take(&mut self.stale) {
            let Entry::Occupied(mut entry) = self.versions.entry(key) else { continue };
            let versions = entry.get_mut();
            let seen = versions.iter().rposition(|(at, _)| *at <= oldest).unwrap_or_default();
            versions.drain(..seen);
            let gone = matches!(versions.as_slice(), [(at, None)] if *at <= oldest);
            if gone {
                entry.remove();
            } else if versions.len() > 1 || matches!(versions.as_slice(), [(_, None)]) {
                self.stale.push(entry.key().clone());
            }
        }
    }
}

fn visible(versions: Option<&Vec<(u64, Option<Bytes>)>>, at: u64) -> Option<Bytes> {
    versions?.iter().rev().find(|(version, _)| *version <= at)?.1.clone()
}

struct MemorySnapshot<'a> {
    engine: &'a MemoryEngine,
    at: u64,
}

impl Drop for MemorySnapshot<'_> {
    fn drop(&mut self) {
        let mut snapshots = self.engine.snapshots.lock();
        if let Entry::Occupied(mut entry) = snapshots.entry(self.at) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl MemorySnapshot<'_> {
    /// The next rows of a stretch, cut off what is left of it.
    fn chunk(
        &self,
        start: &mut Bound<Vec<u8>>,
        end: &mut Bound<Vec<u8>>,
        reverse: bool,
    ) -> Vec<(Vec<u8>, Bytes)> {
        let rows = self.engine.rows.read();
        let range = rows.versions.range((start.clone(), end.clone()));
        let seen = |(key, versions): (&Vec<u8>, &Vec<(u64, Option<Bytes>)>)| {
            visible(Some(versions), self.at).map(|value| (key.clone(), value))
        };
        let chunk: Vec<_> = if reverse {
            range.rev().filter_map(seen).take(CHUNK).collect()
        } else {
            range.filter_map(seen).take(CHUNK).collect()
        };
        if let Some((key, _)) = chunk.last() {
            let rest = Bound::Excluded(key.clone());
            if reverse { *end = rest } else { *start = rest }
        }
        chunk
    }
}

impl EngineSnapshot for MemorySnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(visible(self.engine.rows.read().versions.get(key), self.at))
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let rows = self.engine.rows.read();
        Ok(keys.iter().map(|key| visible(rows.versions.get(key), self.at)).collect())
    }

    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut start = Bound::Included(range.start.clone());
        let mut end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let chunk = self.chunk(&mut start, &mut end, range.reverse);
            let more = chunk.len() == CHUNK && !no_key_between(&start, &end);
            for (key, value) in chunk {
                if visit(&key, &value).is_break() {
                    return Ok(());
                }
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Whether two bounds leave no room, which `BTreeMap::range` would not forgive.
fn no_key_between(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start > end,
        _ => false,
    }
}
