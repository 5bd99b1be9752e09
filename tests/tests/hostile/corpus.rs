//! The committed inputs, and how long they are bent.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails its test")]

use std::{
    cell::Cell,
    env, fs,
    path::{Path, PathBuf},
    sync::Once,
    time::{Duration, Instant},
};

use serde_json::Value;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The JSON objects in a folder of the corpus.
pub(crate) fn objects(folder: &str) -> Vec<Value> {
    files(folder)
        .iter()
        .map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
        .collect()
}

/// The files in a folder of the corpus as they are.
pub(crate) fn bytes(folder: &str) -> Vec<Vec<u8>> {
    files(folder).iter().map(|file| fs::read(file).unwrap()).collect()
}

/// How long a fuzzer goes on, and where its seeds begin.
#[derive(Debug)]
pub(crate) struct Turns {
    until: Instant,
    next: u64,
    at_least: u64,
}

impl Turns {
    /// Goes on for the time of this run, and for at least so many turns.
    #[expect(clippy::disallowed_methods, reason = "a fuzzer is given real time")]
    pub(crate) fn of_this_run(at_least: u64) -> Self {
        let written = env::var_os("VESTIBULE_FUZZ_S");
        let seconds = written.and_then(|text| text.to_str()?.parse().ok());
        let usual = if env::var_os("CI").is_some() { 60 } else { 3 };
        let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(usual));
        Self { until, next: 0, at_least }
    }
}

impl Iterator for Turns {
    type Item = u64;

    #[expect(clippy::disallowed_methods, reason = "a fuzzer is given real time")]
    fn next(&mut self) -> Option<u64> {
        if self.next >= self.at_least && Instant::now() > self.until {
            return None;
        }
        self.next += 1;
        Some(self.next)
    }
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Panics of this thread since the first call, in whatever task they happened: a test's server lives on
/// the test's own thread.
pub(crate) fn panics() -> usize {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            usual(info);
        }));
    });
    PANICS.with(Cell::get)
}
