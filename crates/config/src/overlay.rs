//! Environment variables that stand above the file: `VESTIBULE_SERVER__NAME=example.org`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{
    Problem,
    tree::{Step, dotted},
};

const PREFIX: &str = "VESTIBULE_";
const SEPARATOR: &str = "__";

/// The variables that name keys.
#[derive(Debug, Default)]
pub(crate) struct Overlay(BTreeMap<Vec<Step>, String>);

impl Overlay {
    /// Picks the variables that name keys: those with a double underscore between section and key.
    /// Others with the same prefix (`VESTIBULE_CONFIG`) are no keys.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| {
            let rest = name.strip_prefix(PREFIX)?;
            rest.contains(SEPARATOR).then(|| (path(rest), value))
        });
        Self(named.collect())
    }

    /// The text of the variable for this key.
    pub(crate) fn raw(&self, path: &[Step]) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Writes the variables over the file's values.
    pub(crate) fn apply(&self, root: &mut Value, problems: &mut Vec<Problem>) {
        for (path, raw) in &self.0 {
            if !put(root, path, value_of(raw)) {
                problems.push(Problem::new(
                    &dotted(path),
                    "the environment sets a key that the file's values have no place for",
                    "unset the variable, or count list elements on from those in the file",
                ));
            }
        }
    }
}

fn path(rest: &str) -> Vec<Step> {
    let step = |part: &str| match part.parse() {
        Ok(index) => Step::At(index),
        Err(_) => Step::Key(part.to_lowercase()),
    };
    rest.split(SEPARATOR).map(step).collect()
}

/// Numbers, truth values, lists and tables are TOML; everything else is text as it stands.
fn value_of(raw: &str) -> Value {
    let parsed = format!("value = {raw}").parse::<Table>().ok();
    let value = parsed.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(raw.to_owned()))
}

fn put(at: &mut Value, path: &[Step], value: Value) -> bool {
    let Some((step, rest)) = path.split_first() else {
        *at = value;
        return true;
    };
    let empty = match rest.first() {
        Some(Step::At(_)) => Value::Array(Vec::new()),
        _ => Value::Table(Table::new()),
    };
    match (at, step) {
        (Value::Table(table), Step::Key(key)) => {
            put(table.entry(key.as_str()).or_insert(empty), rest, value)
        }
        (Value::Array(array), Step::At(index)) if *index <= array.len() => {
            if *index == array.len() {
                array.push(empty);
            }
            array.get_mut(*index).is_some_and(|element| put(element, rest, value))
        }
        _ => false,
    }
}
