//! What happened on the way to a server, for whoever asks why it cannot be reached.

use std::sync::Arc;

use parking_lot::Mutex;
use vestibule_types::limits::FINDINGS_MAX;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Fine,
    /// Not as hoped, and the way goes on.
    Notable,
    /// The way ends here.
    Failed,
}

/// One step on the way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which step.
    pub step: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub text: String,
}

/// Collects findings, or drops them when nobody asked.
#[derive(Clone, Default)]
pub(crate) struct Trace(Option<Arc<Mutex<Vec<Finding>>>>);

impl Trace {
    /// Drops everything.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Keeps everything.
    pub(crate) fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn fine(&self, step: &'static str, text: String) {
        self.add(Finding { step, outcome: Outcome::Fine, text });
    }

    pub(crate) fn notable(&self, step: &'static str, text: String) {
        self.add(Finding { step, outcome: Outcome::Notable, text });
    }

    pub(crate) fn failed(&self, step: &'static str, text: String) {
        self.add(Finding { step, outcome: Outcome::Failed, text });
    }

    /// What was found so far.
    pub(crate) fn take(&self) -> Vec<Finding> {
        self.0.as_ref().map(|kept| std::mem::take(&mut *kept.lock())).unwrap_or_default()
    }

    fn add(&self, finding: Finding) {
        if let Some(kept) = &self.0 {
            let mut kept = kept.lock();
            if kept.len() < FINDINGS_MAX {
                kept.push(finding);
            }
        }
    }
}
