//! The workspace checking itself: `cargo xtask`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod arrows;
mod bench;
mod ci;
mod frozen;
mod steps;
mod tidy;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND
  arrows          every dependency between our crates is drawn on the floor plan
  tidy            file sizes, module sentences, leftovers, frozen migrations
  lint            fmt, arrows, tidy, clippy
  check           fmt, arrows, tidy and all tests: the quick loop
  ci              everything a change must pass
  freeze FILE     record a released migration, which may never change again
  bench [ARGS]    measure the release build (see `cargo xtask bench --help`)";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => bail!(USAGE),
    };
    match (command, rest) {
        ("arrows", []) => arrows::check(),
        ("tidy", []) => tidy::check(&workspace_root()),
        ("lint", []) => ci::lint(),
        ("check", []) => ci::quick(),
        ("ci", []) => ci::everything(),
        ("freeze", [file]) => frozen::freeze(&workspace_root(), file),
        ("bench", arguments) => bench::run(arguments),
        _ => bail!(USAGE),
    }
}

/// The folder of the root manifest, wherever the command was called from.
fn workspace_root() -> PathBuf {
    // Cargo says so when it runs something. What was compiled in may be another checkout, where several
    // share a target folder.
    let told = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    here.ancestors().nth(2).unwrap_or(&here).to_owned()
}
