//! What a finished closure hands to the committer.

use std::collections::BTreeMap;

use crate::{SlotNo, StorageError, overlay::Staged, stamp::hash};

/// Keys that must not have been written since a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Asserts {
    bytes: Vec<u8>,
    /// Hash and end of each key in `bytes`.
    keys: Vec<(u64, usize)>,
}

impl Asserts {
    pub(crate) fn add(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.keys.push((hash(key), self.bytes.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every key with its hash.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = 0;
        self.keys.iter().map(move |(hash, end)| {
            let key = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            (*hash, key)
        })
    }
}

/// Changes of one closure, to be committed together or not at all.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) slot: SlotNo,
    /// The number of the last batch the closure's snapshot is known to show.
    pub(crate) snapshot: u64,
    pub(crate) asserts: Asserts,
    pub(crate) points: BTreeMap<Vec<u8>, Staged>,
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as durable as asked for, at this commit of its slot.
    Committed(u64),
    /// Something it was decided from was written in between. Nothing of it was written.
    Conflict,
    /// The engine refused.
    Failed(StorageError),
}

/// Told what became of a batch. Called on the committing thread: it only passes the word on.
pub(crate) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A closure that runs on the committing thread, where nobody can commit in between. It is given
/// the number its batch's snapshot will have, and answers with a batch, or with what is to be said
/// when there is none.
pub(crate) type Serial = Box<dyn FnOnce(u64) -> Result<(Batch, Done), Say> + Send>;

/// Tells whoever waits that nothing had to be committed, or that the closure failed.
pub(crate) type Say = Box<dyn FnOnce() + Send>;

/// Work for the committer.
pub(crate) enum Request {
    Batch(Batch, Done),
    Serial(Serial),
}
