//! Running one command after the other and telling which one failed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace_root;

/// One command of a check.
pub(crate) struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    /// A cargo command in the workspace root.
    pub(crate) fn cargo(name: &'static str, words: &[&str]) -> Self {
        let mut command = Command::new("cargo");
        command.args(words).current_dir(workspace_root());
        Self { name, command }
    }

    /// Sets a variable for this command only.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs the command; its output is the user's to read.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("== {}", self.name);
        let name = self.name;
        let status = self.command.status().with_context(|| format!("{name}: could not start"))?;
        if !status.success() {
            bail!("{name}: failed");
        }
        Ok(())
    }

    /// Runs the command and hands back what it printed.
    pub(crate) fn output(mut self) -> Result<String> {
        println!("== {}", self.name);
        let name = self.name;
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("{name}: could not start"))?;
        if !output.status.success() {
            bail!("{name}: failed");
        }
        String::from_utf8(output.stdout).with_context(|| format!("{name}: printed no text"))
    }
}

/// Whether cargo knows this subcommand here.
pub(crate) fn installed(subcommand: &str) -> bool {
    let probe = Command::new("cargo")
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}
