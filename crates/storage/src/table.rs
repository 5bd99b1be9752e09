//! Tables with typed keys and values, and counters.

use std::{marker::PhantomData, ops::ControlFlow};

use crate::{
    AsKey, AsPrefix, EncodeBuf, Key, Read, Scan, StorageError, TableInfo, Tx, Value,
    engine::successor,
    key::Shown,
    read::decode,
    registry::{counter_row_problem, table_row_problem},
};

/// A keyspace: every key begins with the table's number.
#[derive(Debug)]
pub struct Table<K, V> {
    id: u16,
    name: &'static str,
    row: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Table<K, V> {
    /// Names a table. Number and name are used once, ever.
    #[must_use]
    pub const fn new(id: u16, name: &'static str) -> Self {
        Self { id, name, row: PhantomData }
    }

    /// The table without its types, for the registry.
    #[must_use]
    pub const fn info(&self) -> TableInfo {
        TableInfo { id: self.id, name: self.name, problem: table_row_problem::<K, V> }
    }

    /// The table's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// One row. Read from a [`Tx`], the row is asserted.
    pub fn get(
        &self,
        reader: &(impl Read + ?Sized),
        key: impl AsKey<K>,
    ) -> Result<Option<V>, StorageError> {
        let key = self.key(key);
        match reader.get_bytes(&key.bytes)? {
            Some(bytes) => decode(self.name, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether a row is there. Read from a [`Tx`], the row is asserted.
    pub fn contains(
        &self,
        reader: &(impl Read + ?Sized),
        key: impl AsKey<K>,
    ) -> Result<bool, StorageError> {
        Ok(reader.get_bytes(&self.key(key).bytes)?.is_some())
    }

    /// Several rows, in the order of the keys. Read from a [`Tx`], all of them are asserted.
    pub fn multi_get(
        &self,
        reader: &(impl Read + ?Sized),
        keys: impl IntoIterator<Item = impl AsKey<K>>,
    ) -> Result<Vec<Option<V>>, StorageError> {
        let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| self.key(key).bytes).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = reader.multi_get_bytes(&keys)?;
        rows.into_iter().map(|row| row.map(|bytes| decode(self.name, &bytes)).transpose()).collect()
    }

    /// Writes a row. A pending stamp in the key or value is filled in at the commit.
    pub fn put(&self, tx: &mut Tx<'_>, key: impl AsKey<K>, value: &V) -> Result<(), StorageError> {
        let mut out = EncodeBuf::default();
        value.encode(&mut out);
        if let Some(detail) = out.failure {
            return Err(StorageError::Corrupt { table: self.name, detail });
        }
        tx.put_encoded(self.key(key), out);
        Ok(())
    }

    /// Removes a row, if it is there.
    pub fn delete(&self, tx: &mut Tx<'_>, key: impl AsKey<K>) -> Result<(), StorageError> {
        tx.delete_encoded(self.key(key));
        Ok(())
    }

    /// Removes every row whose key begins with these parts. One mark in the engine, whatever
    /// their number; it conflicts with whoever read one of them.
    pub fn delete_prefix(
        &self,
        tx: &mut Tx<'_>,
        prefix: impl AsPrefix<K>,
    ) -> Result<(), StorageError> {
        let mut start = EncodeBuf::for_key(self.id);
        prefix.encode_prefix(&mut start);
        match successor(&start.bytes) {
            Some(end) => {
                tx.delete_range(start.bytes, end);
                Ok(())
            }
            None => Err(StorageError::TooLarge { what: "table number" }),
        }
    }

    /// Removes the rows of a stretch; direction and limit of the scan play no part.
    pub fn delete_scan(&self, tx: &mut Tx<'_>, scan: Scan<K>) -> Result<(), StorageError> {
        let range = scan.range(self.id);
        match range.end {
            Some(end) if end <= range.start => Ok(()),
            Some(end) => {
                tx.delete_range(range.start, end);
                Ok(())
            }
            None => Err(StorageError::TooLarge { what: "table number" }),
        }
    }

    /// Up to `limit` rows whose key begins with these parts, ascending. Not asserted.
    pub fn scan(
        &self,
        reader: &(impl Read + ?Sized),
        prefix: impl AsPrefix<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StorageError> {
        self.scan_with(reader, Scan::prefix(prefix).limit(limit))
    }

    /// The rows of a stretch, in its order. Not asserted.
    pub fn scan_with(
        &self,
        reader: &(impl Read + ?Sized),
        scan: Scan<K>,
    ) -> Result<Vec<(K, V)>, StorageError> {
        let mut rows = Vec::new();
        self.each(reader, scan, |key, value| {
            rows.push((key, value));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Shows the rows of a stretch one by one, until the visitor has enough. Not asserted.
    pub fn each(
        &self,
        reader: &(impl Read + ?Sized),
        scan: Scan<K>,
        mut visit: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut left = scan.rows_max();
        let range = scan.range(self.id);
        if left == 0 || range.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        reader.scan_bytes(&range, &mut |key, value| {
            left -= 1;
            match self.row(key, value) {
                Ok((key, value)) if left > 0 => visit(key, value),
                Ok((key, value)) => {
                    let _: ControlFlow<()> = visit(key, value);
                    ControlFlow::Break(())
                }
                Err(error) => {
                    outcome = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        outcome
    }

    /// Whether a key is of this table.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        key.starts_with(&self.id.to_be_bytes())
    }

    /// A row out of its bytes.
    pub(crate) fn row(&self, key: &[u8], value: &[u8]) -> Result<(K, V), StorageError> {
        let parts = key
            .get(2..)
            .and_then(K::decode)
            .ok_or_else(|| StorageError::corrupt(self.name, format_args!("key {}", Shown(key))))?;
        Ok((parts, decode(self.name, value)?))
    }

    /// The bytes of a key, as the engine sees them.
    pub(crate) fn key_bytes(&self, key: impl AsKey<K>) -> Vec<u8> {
        self.key(key).bytes
    }

    fn key(&self, key: impl AsKey<K>) -> EncodeBuf {
        let mut out = EncodeBuf::for_key(self.id);
        key.encode_key(&mut out);
        out
    }
}

/// Numbers that are added to without being read: additions of concurrent batches do not conflict,
/// they are summed up when the batches commit. A counter never falls below zero.
#[derive(Debug)]
pub struct Counter<K> {
    table: Table<K, u64>,
}

impl<K: Key> Counter<K> {
    /// Names a counter table. Number and name are used once, ever.
    #[must_use]
    pub const fn new(id: u16, name: &'static str) -> Self {
        Self { table: Table::new(id, name) }
    }

    /// The table without its types, for the registry.
    #[must_use]
    pub const fn info(&self) -> TableInfo {
        TableInfo { id: self.table.id, name: self.table.name, problem: counter_row_problem::<K> }
    }

    /// Adds to a counter when the batch commits; stops at zero and at the greatest number.
    pub fn add(&self, tx: &mut Tx<'_>, key: impl AsKey<K>, delta: i64) -> Result<(), StorageError> {
        tx.add_encoded(self.table.key(key), delta);
        Ok(())
    }

    /// The number, with this batch's own additions. Read from a [`Tx`] it is asserted, and then
    /// does conflict with additions; read it through [`Tx::fixed`] where that is not meant.
    pub fn get(
        &self,
        reader: &(impl Read + ?Sized),
        key: impl AsKey<K>,
    ) -> Result<u64, StorageError> {
        Ok(self.table.get(reader, key)?.unwrap_or_default())
    }

    /// Sets the counter back to zero by removing its row.
    pub fn delete(&self, tx: &mut Tx<'_>, key: impl AsKey<K>) -> Result<(), StorageError> {
        self.table.delete(tx, key)
    }

    /// Removes every counter whose key begins with these parts.
    pub fn delete_prefix(
        &self,
        tx: &mut Tx<'_>,
        prefix: impl AsPrefix<K>,
    ) -> Result<(), StorageError> {
        self.table.delete_prefix(tx, prefix)
    }

    /// Up to `limit` counters whose key begins with these parts, ascending. Not asserted.
    pub fn scan(
        &self,
        reader: &(impl Read + ?Sized),
        prefix: impl AsPrefix<K>,
        limit: usize,
    ) -> Result<Vec<(K, u64)>, StorageError> {
        self.table.scan(reader, prefix, limit)
    }
}
