//! What a change must pass, in the order that fails fastest.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{
    arrows,
    steps::{Step, installed},
    tidy, workspace_root,
};

/// A committed file and the command that prints it.
const GENERATED: [(&str, &[&str]); 1] = [(
    "config.example.toml",
    &[
        "run",
        "--quiet",
        "--package",
        "vestibule-server",
        "--bin",
        "vestibule",
        "--",
        "config",
        "example",
    ],
)];

/// Form, floor plan and lints; no tests.
pub(crate) fn lint() -> Result<()> {
    shape()?;
    clippy()
}

/// The quick loop: form, floor plan, tests.
pub(crate) fn quick() -> Result<()> {
    shape()?;
    tests()
}

/// Everything.
pub(crate) fn everything() -> Result<()> {
    shape()?;
    clippy()?;
    tests()?;
    documentation()?;
    generated()?;
    if_installed("deny", &["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    if_installed("machete", &["machete"])
}

fn shape() -> Result<()> {
    if installed("fmt") {
        Step::cargo("fmt", &["fmt", "--all", "--check"]).run()?;
    } else {
        println!("== fmt: not installed, skipped");
    }
    println!("== arrows");
    arrows::check()?;
    println!("== tidy");
    tidy::check(&workspace_root())
}

fn clippy() -> Result<()> {
    if !installed("clippy") {
        println!("== clippy: not installed, skipped");
        return Ok(());
    }
    let words = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    Step::cargo("clippy", &words).run()
}

fn tests() -> Result<()> {
    Step::cargo("tests", &["test", "--workspace", "--no-fail-fast"]).run()
}

/// `RUSTDOCFLAGS` replaces nothing of `RUSTFLAGS`, so the dependencies are not built again.
fn documentation() -> Result<()> {
    Step::cargo("docs", &["doc", "--workspace", "--no-deps", "--quiet"])
        .with("RUSTDOCFLAGS", "-D warnings")
        .run()
}

fn generated() -> Result<()> {
    for (file, words) in GENERATED {
        let committed = fs::read_to_string(workspace_root().join(file))
            .with_context(|| format!("{file}: is missing"))?;
        let made = Step::cargo("generated files", words).output()?;
        ensure!(
            made == committed,
            "{file}: is stale, write it anew with `cargo {}`",
            words.join(" ")
        );
    }
    Ok(())
}

fn if_installed(name: &'static str, words: &[&str]) -> Result<()> {
    if installed(name) {
        Step::cargo(name, words).run()
    } else {
        println!("== {name}: not installed, skipped");
        Ok(())
    }
}
