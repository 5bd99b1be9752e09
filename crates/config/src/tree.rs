//! The file as a tree of values, with the places where its keys stand.

use std::fmt::Write;

use toml::{
    Value,
    de::{DeArray, DeTable, DeValue},
};

use crate::Problem;

/// One step from the root of the file to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A key of a table.
    Key(String),
    /// An element of an array.
    At(usize),
}

/// The dotted form of a path: `listener[0].bind`.
pub(crate) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::At(index) => {
                let _infallible = write!(text, "[{index}]");
            }
        }
    }
    text
}

/// The value at a path.
pub(crate) fn value_at<'a>(root: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get(key.as_str()),
        Step::At(index) => value.get(*index),
    })
}

/// The value at a path, for change.
pub(crate) fn value_at_mut<'a>(root: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::At(index) => value.get_mut(*index),
    })
}

/// Takes the value at a path out of the tree.
pub(crate) fn remove(root: &mut Value, path: &[Step]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    match (value_at_mut(root, parents)?, last) {
        (Value::Table(table), Step::Key(key)) => table.remove(key),
        (Value::Array(array), Step::At(index)) if *index < array.len() => {
            Some(array.remove(*index))
        }
        _ => None,
    }
}

/// Parses a file. Syntax errors are all reported; what could be read is returned beside them.
pub(crate) fn parse(text: &str) -> (Value, Vec<Problem>) {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|error| Problem {
            line: error.span().map(|span| line_of(text, span.start)),
            ..Problem::new("", error.message(), "correct the syntax (TOML 1.1)")
        })
        .collect::<Vec<_>>();
    drop(tree);
    if problems.is_empty() {
        match text.parse::<toml::Table>() {
            Ok(table) => return (Value::Table(table), problems),
            Err(error) => {
                let line = error.span().map(|span| line_of(text, span.start));
                let problem = Problem::new("", error.message(), "correct the syntax (TOML 1.1)");
                return (Value::Table(toml::Table::new()), vec![Problem { line, ..problem }]);
            }
        }
    }
    (Value::Table(toml::Table::new()), problems)
}

/// The line a key stands on, counted from one.
pub(crate) fn line(text: &str, path: &[Step]) -> Option<usize> {
    let tree = DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    in_table(tree.get_ref(), key, rest).map(|at| line_of(text, at))
}

fn in_table(table: &DeTable<'_>, key: &str, rest: &[Step]) -> Option<usize> {
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    let here = name.span().start;
    match (rest.split_first(), value.get_ref()) {
        (Some((Step::Key(next), rest)), DeValue::Table(inner)) => {
            in_table(inner, next, rest).or(Some(here))
        }
        (Some((Step::At(index), rest)), DeValue::Array(inner)) => {
            in_array(inner, *index, rest).or(Some(here))
        }
        _ => Some(here),
    }
}

fn in_array(array: &DeArray<'_>, index: usize, rest: &[Step]) -> Option<usize> {
    let value = array.get(index)?;
    let here = value.span().start;
    match (rest.split_first(), value.get_ref()) {
        (Some((Step::Key(next), rest)), DeValue::Table(inner)) => {
            in_table(inner, next, rest).or(Some(here))
        }
        (Some((Step::At(next), rest)), DeValue::Array(inner)) => {
            in_array(inner, *next, rest).or(Some(here))
        }
        _ => Some(here),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// The path that [`dotted`] wrote.
pub(crate) fn path(dotted: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in dotted.split('.') {
        let mut pieces = part.split('[');
        steps.extend(pieces.next().map(|key| Step::Key(key.to_owned())));
        let indexes = pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok());
        steps.extend(indexes.map(Step::At));
    }
    steps
}
