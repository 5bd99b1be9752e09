//! Facts a scenario states: one line per fact, `N passed, M failed` at the end, as `tests/clients/facts.py` does.

use std::{
    cell::Cell,
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long a fact may take to become true.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(40);
/// How much of what was seen is printed, in characters.
const SEEN_CHARS_MAX: usize = 1500;

/// Counts facts.
pub struct Facts {
    scenario: &'static str,
    passed: Cell<u32>,
    failed: Cell<u32>,
}

impl Facts {
    /// None yet.
    pub fn of(scenario: &'static str) -> Self {
        Self { scenario, passed: Cell::default(), failed: Cell::default() }
    }

    /// States one fact; `seen` is printed when it does not hold.
    pub fn check(&self, fact: &str, holds: bool, seen: impl Debug) -> bool {
        if holds {
            self.passed.set(self.passed.get() + 1);
            println!("ok      [{}] {fact}", self.scenario);
        } else {
            self.failed.set(self.failed.get() + 1);
            let seen: String = format!("{seen:?}").chars().take(SEEN_CHARS_MAX).collect();
            println!("FAILED  [{}] {fact}\n        seen: {seen}", self.scenario);
        }
        holds
    }

    /// A part of the scenario: what stops it is one failed fact, and the next part still runs.
    pub async fn part(&self, name: &str, part: impl Future<Output = anyhow::Result<()>>) {
        let began = Instant::now();
        if let Err(stop) = part.await {
            self.check(&format!("{name} runs to its end"), false, format!("{stop:#}"));
        }
        println!("--      [{}] {name}: {} ms", self.scenario, began.elapsed().as_millis());
    }

    /// Prints the sum; whether everything held.
    pub fn finish(&self) -> bool {
        println!("{} passed, {} failed", self.passed.get(), self.failed.get());
        self.failed.get() == 0
    }
}

/// Looks until something holds, or patience ends.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if holds().await {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
