//! Which rows of a table to walk, and how.

use std::marker::PhantomData;

use crate::{AsPrefix, EncodeBuf, ScanRange, engine::successor};

/// A stretch of a table's rows: those whose key begins with a prefix, within bounds.
///
/// Bounds are keys or beginnings of keys, counted from the first part, so they repeat the prefix:
/// `Scan::prefix((room,)).from((room, 7)).before((room, 9))`.
#[derive(Clone, Debug)]
pub struct Scan<K> {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
    reverse: bool,
    limit: usize,
    key: PhantomData<fn() -> K>,
}

impl<K> Scan<K> {
    /// Every row whose key begins with these parts, ascending. `()` is the whole table. Without
    /// [`Scan::limit`] there is no bound on the number of rows.
    #[must_use]
    pub fn prefix(prefix: impl AsPrefix<K>) -> Self {
        let start = encoded(prefix);
        // The table's number goes before these bytes, so a successor always exists in the end;
        // `None` here means: to the end of the table.
        let end = successor(&start);
        Self { start, end, reverse: false, limit: usize::MAX, key: PhantomData }
    }

    /// Only rows at or after this key.
    #[must_use]
    pub fn from(mut self, bound: impl AsPrefix<K>) -> Self {
        self.start = self.start.max(encoded(bound));
        self
    }

    /// Only rows after this key and after every key that begins with it.
    #[must_use]
    pub fn after(mut self, bound: impl AsPrefix<K>) -> Self {
        match successor(&encoded(bound)) {
            Some(start) => self.start = self.start.max(start),
            None => self.limit = 0,
        }
        self
    }

    /// Only rows before this key.
    #[must_use]
    pub fn before(mut self, bound: impl AsPrefix<K>) -> Self {
        self.end = least(self.end, Some(encoded(bound)));
        self
    }

    /// Only rows up to this key and every key that begins with it.
    #[must_use]
    pub fn to(mut self, bound: impl AsPrefix<K>) -> Self {
        self.end = least(self.end, successor(&encoded(bound)));
        self
    }

    /// From the greatest key to the least.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most this many rows.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// How many rows at most.
    pub(crate) fn rows_max(&self) -> usize {
        self.limit
    }

    pub(crate) fn range(self, table: u16) -> ScanRange {
        let in_table = |bytes: &[u8]| [&table.to_be_bytes(), bytes].concat();
        let end = match &self.end {
            Some(end) => Some(in_table(end)),
            None => successor(&table.to_be_bytes()),
        };
        ScanRange { start: in_table(&self.start), end, reverse: self.reverse }
    }
}

fn encoded<K>(prefix: impl AsPrefix<K>) -> Vec<u8> {
    let mut out = EncodeBuf::default();
    prefix.encode_prefix(&mut out);
    out.bytes
}

/// The lesser of two ends, where `None` is beyond everything.
fn least(one: Option<Vec<u8>>, other: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
