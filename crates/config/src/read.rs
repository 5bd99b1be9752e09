//! Turning values into sections, gathering every problem on the way.
//!
//! `serde` stops at the first error. So a section is read again and again, each time without the
//! key that was refused, until the rest is right: every refusal is reported once.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use toml::Value;

use crate::{
    Problem,
    example::key_of,
    overlay::Overlay,
    suggest::{Complaint, remedy},
    tree::{Step, dotted, line, remove, value_at, value_at_mut},
};

/// The most problems that are looked for in one section.
const PROBLEMS_MAX: usize = 256;

/// Reads sections of one file and remembers what was wrong.
pub(crate) struct Reader<'a> {
    text: &'a str,
    overlay: &'a Overlay,
    removed: Vec<Vec<Step>>,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader for this text, overlaid by these environment variables.
    pub(crate) fn new(text: &'a str, overlay: &'a Overlay) -> Self {
        Self { text, overlay, removed: Vec::new(), problems: Vec::new() }
    }

    /// Reads the section at `at`; whatever cannot be read has its default.
    pub(crate) fn section<T: DeserializeOwned + Default>(
        &mut self,
        at: &[Step],
        value: Option<Value>,
    ) -> T {
        let Some(mut value) = value else { return T::default() };
        for _ in 0..PROBLEMS_MAX {
            match serde_path_to_error::deserialize::<_, T>(value.clone()) {
                Ok(section) => return section,
                Err(error) => {
                    let inside = steps(error.path(), &value);
                    if !self.refuse(at, &inside, error.inner().message(), &mut value) {
                        return T::default();
                    }
                }
            }
        }
        T::default()
    }

    /// Reports one error and takes its cause out of the value. False when nothing is left to take.
    fn refuse(&mut self, at: &[Step], inside: &[Step], message: &str, value: &mut Value) -> bool {
        let here = [at, inside].concat();
        let original = self.original(&here);
        if let Some(raw) = self.overlay.raw(&original)
            && let Some(found) = value_at_mut(value, inside)
            && !found.is_str()
        {
            *found = Value::String(raw.to_owned());
            return true;
        }
        let complaint = Complaint::of(message);
        let mut path = original.clone();
        if let Complaint::Missing(key) = &complaint {
            path.push(Step::Key(key.clone()));
        }
        // A key that was refused before is not missed a second time.
        if !self.removed.contains(&path) {
            let found = value_at(value, inside).filter(|_| !complaint.is_missing());
            self.report(&path, &complaint, found, message);
        }
        let taken = !inside.is_empty() && remove(value, inside).is_some();
        self.removed.push(original);
        taken
    }

    fn report(
        &mut self,
        path: &[Step],
        complaint: &Complaint,
        value: Option<&Value>,
        message: &str,
    ) {
        let key = dotted(path);
        let known = key_of(path);
        let problem =
            Problem::new(&key, complaint.text(message), remedy(complaint, known.as_ref()));
        let mut problem = match value {
            Some(value) if !matches!(complaint, Complaint::UnknownKey { .. }) => {
                problem.with_value(value.to_string())
            }
            _ => problem,
        };
        problem.line = self.line(path);
        if self.overlay.raw(path).is_some() {
            problem.message.push_str(" (set by the environment)");
        }
        self.problems.push(problem);
    }

    /// The line of a key in the file, unless it comes from the environment.
    pub(crate) fn line(&self, path: &[Step]) -> Option<usize> {
        self.overlay.raw(path).is_none().then(|| line(self.text, path)).flatten()
    }

    /// Array elements that were taken out shift the later ones; this counts them back in.
    fn original(&self, path: &[Step]) -> Vec<Step> {
        let mut original: Vec<Step> = Vec::with_capacity(path.len());
        for step in path {
            let mut step = step.clone();
            if let Step::At(index) = &mut step {
                let mut gone = self
                    .removed
                    .iter()
                    .filter_map(|removed| match removed.split_last() {
                        Some((Step::At(index), parent)) if parent == original => Some(*index),
                        _ => None,
                    })
                    .collect::<Vec<_>>();
                gone.sort_unstable();
                for removed in gone {
                    if removed <= *index {
                        *index += 1;
                    }
                }
            }
            original.push(step);
        }
        original
    }
}

/// The part of the reported path that exists in the value.
fn steps(path: &Path, value: &Value) -> Vec<Step> {
    let mut steps = Vec::new();
    for segment in path {
        let step = match segment {
            Segment::Map { key } => Step::Key(key.clone()),
            Segment::Seq { index } => Step::At(*index),
            Segment::Enum { .. } | Segment::Unknown => break,
        };
        steps.push(step);
        if value_at(value, &steps).is_none() {
            steps.pop();
            break;
        }
    }
    steps
}
