//! The document a run leaves behind.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::{clock, probe::Probes};

/// Everything one run found out.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Seconds since the Unix epoch at the end of the run.
    pub made_at: u64,
    /// The commit that was measured; `+` behind it says that files were changed.
    pub git_revision: String,
    /// How the server was built.
    pub server_build: String,
    /// True when the sizes were scaled down: the figures are then no claim.
    pub quick: bool,
    /// Where it ran.
    pub machine: Machine,
    /// Physical limits, measured between the samples of the sending rows.
    pub probes: Option<Probes>,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// Where a run took place.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The kernel's version.
    pub kernel: String,
    /// Type of the filesystem that holds the data.
    pub filesystem: String,
    /// Load average over one minute before the run.
    pub load_before: String,
}

/// One figure and its bar.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The median of the samples.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it has to reach, if anything.
    pub bar: Option<Bar>,
    /// Whether it did.
    pub reached: Option<bool>,
    /// All samples.
    pub samples: Vec<f64>,
    /// What else was seen: processor seconds, quantiles, sizes.
    pub detail: BTreeMap<&'static str, Value>,
}

/// A limit and the side on which it holds.
#[derive(Debug, Clone, Serialize)]
pub struct Bar {
    /// In words.
    pub rule: String,
    /// In the unit of the row.
    pub limit: f64,
    /// Whether the value must be at least (or else at most) the limit.
    pub at_least: bool,
}

impl Bar {
    /// The value must not be smaller.
    pub fn at_least(limit: f64, rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), limit, at_least: true }
    }

    /// The value must not be larger.
    pub fn at_most(limit: f64, rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), limit, at_least: false }
    }

    fn holds(&self, value: f64) -> bool {
        if self.at_least { value >= self.limit } else { value <= self.limit }
    }
}

impl Row {
    /// A row whose value is the median of the samples.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        let value = median(&samples);
        let name = name.into();
        Self { name, value, unit, bar: None, reached: None, samples, detail: BTreeMap::new() }
    }

    /// Holds the value against a bar.
    #[must_use]
    pub fn with_bar(mut self, bar: Bar) -> Self {
        // A figure that is not a number reaches nothing.
        self.reached = Some(self.value.is_finite() && bar.holds(self.value));
        self.bar = Some(bar);
        self
    }

    /// Notes something beside the value.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.detail.insert(key, value.into());
        self
    }
}

/// The middle value; not a number when there is none.
#[must_use]
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// The value below which `share` of the samples lie (nearest rank).
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "ranks are far below 2^52 and not negative"
)]
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// A decimal rounded for people and for stable documents.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl Machine {
    /// Looks at the machine and at the filesystem of `folder`.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok());
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            memory_bytes: memory.unwrap_or_default().saturating_mul(1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem(&read("/proc/mounts"), folder),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// The type of the deepest mount that holds the folder.
fn filesystem(mounts: &str, folder: &Path) -> String {
    let mut best = (0, String::new());
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(at), Some(kind)) = (words.next(), words.next()) else { continue };
        let depth = Path::new(at).components().count();
        if folder.starts_with(at) && depth >= best.0 {
            best = (depth, kind.to_owned());
        }
    }
    best.1
}

/// The commit in the current folder.
#[must_use]
pub fn git_revision() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(revision) = git(&["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_some_and(|files| !files.is_empty()) { "+" } else { "" };
    format!("{revision}{mark}")
}

impl Document {
    /// Collects the rows of a finished run.
    #[must_use]
    pub fn new(machine: Machine, quick: bool, server_build: String) -> Self {
        Self {
            made_at: clock::unix_seconds(),
            git_revision: git_revision(),
            server_build,
            quick,
            machine,
            probes: None,
            rows: Vec::new(),
        }
    }

    /// Writes the document to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(path, text)?)
    }

    /// The rows as a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        if self.quick {
            lines.push("QUICK: sizes are scaled down, these figures are no claim".to_owned());
        }
        if let Some(probes) = &self.probes {
            lines.push(format!(
                "probes ({} B, medians): append+fdatasync {:.0}/s, RocksDB batch {:.0}/s",
                probes.bytes_per_operation,
                median(&probes.append_fdatasync_per_s),
                median(&probes.rocksdb_batch_per_s),
            ));
        }
        for row in &self.rows {
            let verdict = match row.reached {
                Some(true) => "reached",
                Some(false) => "MISSED",
                None => "",
            };
            let bar = row.bar.as_ref().map(|bar| {
                let side = if bar.at_least { "≥" } else { "≤" };
                format!("{side} {:.2}  {}", bar.limit, bar.rule)
            });
            lines.push(format!(
                "{verdict:<8} {:<36} {:>12.2} {:<10} {}",
                row.name,
                row.value,
                row.unit,
                bar.unwrap_or_default(),
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_order_and_outliers() {
        assert!((median(&[9_000.0, 1.0, 5.0]) - 5.0).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_bar_knows_its_side() {
        let row = |value, bar| Row::new("x", "s", vec![value]).with_bar(bar).reached;
        assert_eq!(row(2.0, Bar::at_least(2.0, "")), Some(true));
        assert_eq!(row(1.9, Bar::at_least(2.0, "")), Some(false));
        assert_eq!(row(2.0, Bar::at_most(2.0, "")), Some(true));
        assert_eq!(row(2.1, Bar::at_most(2.0, "")), Some(false));
    }

    #[test]
    fn a_row_without_samples_reaches_no_bar() {
        let row = Row::new("x", "s", Vec::new()).with_bar(Bar::at_most(2.0, ""));
        assert_eq!(row.reached, Some(false));
    }

    #[test]
    fn the_filesystem_is_that_of_the_deepest_mount() {
        let mounts = "a / ext4 rw\nb /tmp tmpfs rw\nc /tmp/x xfs rw\n";
        assert_eq!(filesystem(mounts, Path::new("/tmp/y")), "tmpfs");
        assert_eq!(filesystem(mounts, Path::new("/tmp/x/z")), "xfs");
        assert_eq!(filesystem(mounts, Path::new("/home")), "ext4");
    }
}
