//! How many rows of a list are wanted.

use serde::Deserialize;

/// The query of a list that begins with its newest row and has one page.
#[derive(Debug, Deserialize)]
pub(crate) struct Newest {
    limit: Option<usize>,
}

impl Newest {
    /// What was asked for, or as many as the operation gives unasked.
    pub(crate) fn limit(&self, usual: usize) -> usize {
        self.limit.unwrap_or(usual)
    }
}
