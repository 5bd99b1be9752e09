//! `cargo xtask bench`: the release build of the bench crate, with its arguments passed on.

use anyhow::Result;

use crate::steps::Step;

/// Runs the bench; it builds the server it measures.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut words = vec!["run", "--release", "--quiet", "--package", "vestibule-bench", "--"];
    words.extend(arguments.iter().map(String::as_str));
    Step::cargo("bench", &words).run()
}
