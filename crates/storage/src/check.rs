//! Reads every row and says which ones are damaged, and compares the rows that have to say the same.

mod room_indexes;

use std::{collections::BTreeMap, ops::ControlFlow};

use vestibule_types::limits::CHECK_PROBLEMS_MAX;

use crate::{
    Read, ScanRange, TableInfo,
    key::{Shown, take},
    registry::REGISTERED,
};

/// A row that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table, if the row belongs to one.
    pub table: Option<&'static str>,
    /// The first bytes of the key, as hexadecimal digits.
    pub key: String,
    /// What is wrong.
    pub detail: String,
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// The first damaged rows.
    pub problems: Vec<Problem>,
    /// How many damaged rows there are in all.
    pub damaged: u64,
}

impl CheckReport {
    fn add(&mut self, table: Option<&'static str>, key: String, detail: String) {
        self.damaged += 1;
        if self.problems.len() < CHECK_PROBLEMS_MAX {
            self.problems.push(Problem { table, key, detail });
        }
    }
}

/// Decodes every row of every table, and holds the indexes of rooms against the memberships. Where the
/// engine cannot read on, its words are a problem like others, and the next table is looked at.
pub fn check(reader: &(impl Read + ?Sized)) -> CheckReport {
    let tables: BTreeMap<u16, &TableInfo> =
        REGISTERED.iter().map(|table| (table.id, table)).collect();
    let mut report = CheckReport::default();
    let (mut from, mut told) = (Some(Vec::new()), None);
    while let Some(start) = from.take() {
        let mut reached = start.clone();
        let stretch = ScanRange { start, end: None, reverse: false };
        let read = reader.scan_bytes(&stretch, &mut |key, value| {
            key.clone_into(&mut reached);
            row(&tables, &mut report, key, value);
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            let id = table_id(&reached);
            // A block may hold the beginnings of several tables.
            if told.as_ref() != Some(&error) {
                let name = id.and_then(|id| tables.get(&id)).map(|table| table.name);
                let detail = format!("what follows cannot be read: {error}");
                report.add(name, Shown(&reached).to_string(), detail);
                told = Some(error);
            }
            let least = id.map_or(Some(0), |id| id.checked_add(1));
            let next = least.and_then(|least| tables.range(least..).next());
            from = next.map(|(id, _)| id.to_be_bytes().to_vec());
        }
    }
    if let Err(error) = room_indexes::check(reader, &mut report) {
        let detail = format!("the indexes of rooms cannot be compared: {error}");
        report.add(None, String::new(), detail);
    }
    report
}

fn row(tables: &BTreeMap<u16, &TableInfo>, report: &mut CheckReport, key: &[u8], value: &[u8]) {
    let mut parts = key;
    let table = take(&mut parts).and_then(|id| tables.get(&u16::from_be_bytes(id)));
    if let Some(table) = table {
        *report.rows.entry(table.name).or_default() += 1;
    }
    let problem = match table {
        Some(table) => (table.problem)(parts, value),
        None => Some("no table has this number".to_owned()),
    };
    if let Some(detail) = problem {
        report.add(table.map(|table| table.name), Shown(key).to_string(), detail);
    }
}

fn table_id(mut key: &[u8]) -> Option<u16> {
    take(&mut key).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        Engine, EngineOp, MemoryEngine, Snapshot, StorageError, Visit,
        tables::{account::ADMIN_COUNT, meta::FORMAT_VERSION},
    };

    fn checked(rows: &[(&[u8], &[u8])]) -> CheckReport {
        let engine = MemoryEngine::new(1);
        let ops: Vec<EngineOp> =
            rows.iter().map(|(key, value)| EngineOp::Put(key.to_vec(), value.to_vec())).collect();
        engine.apply(&ops, false).unwrap();
        check(&Snapshot::new(&*engine.snapshot().unwrap(), 1))
    }

    #[test]
    fn a_sound_row_is_counted_and_nothing_else() {
        let report = checked(&[(&FORMAT_VERSION.key_bytes((0_u8,)), &1_u64.to_be_bytes())]);
        assert_eq!(report.rows, [("format_version", 1)].into());
        assert_eq!((report.problems, report.damaged), (vec![], 0));
    }

    #[test]
    fn a_damaged_value_a_damaged_key_and_a_stray_row_are_named() {
        let report = checked(&[
            (&FORMAT_VERSION.key_bytes((0_u8,)), b"short"),
            (&[0, 0, 1, 2], &1_u64.to_be_bytes()),
            (&[0xee, 0xee], b""),
        ]);
        assert_eq!(report.damaged, 3);
        let found: Vec<(Option<&str>, &str)> =
            report.problems.iter().map(|problem| (problem.table, &*problem.detail)).collect();
        assert_eq!(
            found,
            [
                (Some("format_version"), "not a number"),
                (Some("format_version"), "the key does not decode"),
                (None, "no table has this number"),
            ]
        );
    }

    /// Cannot read the rows of one table.
    struct Torn<'a>(Snapshot<'a>, u16);

    impl Read for Torn<'_> {
        fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
            self.0.get_bytes(key)
        }

        fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
            self.0.multi_get_bytes(keys)
        }

        fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
            let mut torn = false;
            self.0.scan_bytes(range, &mut |key, value| {
                torn = table_id(key) == Some(self.1);
                if torn { ControlFlow::Break(()) } else { visit(key, value) }
            })?;
            if torn { Err(StorageError::engine("block checksum mismatch")) } else { Ok(()) }
        }
    }

    #[test]
    fn what_the_engine_cannot_read_is_told_in_its_words_and_the_rest_is_read() {
        let engine = MemoryEngine::new(1);
        let keys = [FORMAT_VERSION.key_bytes((0_u8,)), ADMIN_COUNT.key_bytes((0_u8,))];
        let ops = keys.map(|key| EngineOp::Put(key, 1_u64.to_be_bytes().to_vec()));
        engine.apply(&ops, false).unwrap();
        let snapshot = engine.snapshot().unwrap();
        let torn = Torn(Snapshot::new(&*snapshot, 1), FORMAT_VERSION.info().id);
        let report = check(&torn);
        assert_eq!(report.rows, [(ADMIN_COUNT.name(), 1)].into());
        assert_eq!(report.damaged, 1);
        assert!(report.problems[0].detail.ends_with("block checksum mismatch"), "{report:?}");
    }
}
