//! Reads every row and says which ones are damaged, and compares the rows that have to say the same.

mod room_indexes;

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use vestibule_types::limits::CHECK_PROBLEMS_MAX;

use crate::{
    Read, ScanRange, StorageError, TableInfo,
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

/// Decodes every row of every table, and holds the indexes of rooms against the memberships.
pub fn check(reader: &(impl Read + ?Sized)) -> Result<CheckReport, StorageError> {
    let tables: HashMap<u16, &TableInfo> =
        REGISTERED.iter().map(|table| (table.id, table)).collect();
    let mut report = CheckReport::default();
    reader.scan_bytes(&ScanRange::prefix(Vec::new()), &mut |key, value| {
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
        ControlFlow::Continue(())
    })?;
    room_indexes::check(reader, &mut report)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOp, MemoryEngine, Snapshot, tables::meta::FORMAT_VERSION};

    fn checked(rows: &[(&[u8], &[u8])]) -> CheckReport {
        let engine = MemoryEngine::new(1);
        let ops: Vec<EngineOp> =
            rows.iter().map(|(key, value)| EngineOp::Put(key.to_vec(), value.to_vec())).collect();
        engine.apply(&ops, false).unwrap();
        check(&Snapshot::new(&*engine.snapshot().unwrap(), 1)).unwrap()
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
}
