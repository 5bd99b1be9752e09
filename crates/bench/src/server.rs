//! The server under test: building it, its configuration, starting and stopping its process.

use std::{
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{clock, load::pause, matrix::Api, peers::Peers};

/// A server that is not ready after this time will not become so.
const START_MAX: Duration = Duration::from_mins(2);
/// A server that still runs after this time does not want to stop.
const STOP_MAX: Duration = Duration::from_mins(1);
/// How often a starting or stopping server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The ports of `free_address`: below those that systems take from for the near end of a connection, of which
/// one may be gone when its server starts.
const PORTS: Range<u16> = 10_000..32_768;

/// An address on loopback that nobody listens at, for a server that starts later and perhaps again.
pub fn free_address() -> Result<SocketAddr> {
    let random = RandomState::new();
    for attempt in 0..200_u32 {
        let offset = random.hash_one(attempt) % u64::from(PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + u16::try_from(offset)?));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port between {} and {} was found", PORTS.start, PORTS.end)
}

/// What is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// Arguments before the server's own.
    pub leading: Vec<String>,
    /// Environment variables for the server alone.
    pub environment: Vec<(String, String)>,
    /// How it was built, for the report.
    pub build: String,
    /// Whether it is the stand-in of a rehearsal, which knows no other servers.
    pub stands_in: bool,
}

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On the disk.
    Fsync,
    /// With the operating system.
    Os,
}

/// A data folder and the configuration that points to it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    /// Where clients reach the server.
    pub address: SocketAddr,
    /// Where other servers reach it, if they do.
    pub federation: Option<SocketAddr>,
}

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where clients reach it.
    pub address: SocketAddr,
}

/// The line of `cargo build --message-format=json` that names a binary.
#[derive(Deserialize)]
struct BuiltArtifact {
    executable: Option<PathBuf>,
}

impl Launch {
    /// A binary that takes the server's arguments.
    #[must_use]
    pub fn of(program: PathBuf, build: String) -> Self {
        Self { program, leading: Vec::new(), environment: Vec::new(), build, stands_in: false }
    }

    /// Builds the server with cargo in the given profile.
    pub fn build(profile: &str) -> Result<Self> {
        let output = Command::new("cargo")
            .args(["build", "--quiet", "--message-format=json", "--profile", profile])
            .args(["--package", "vestibule-server", "--bin", "vestibule"])
            .stderr(Stdio::inherit())
            .output()
            .context("run cargo")?;
        if !output.status.success() {
            bail!("the server does not build");
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let program = text
            .lines()
            .filter_map(|line| serde_json::from_str::<BuiltArtifact>(line).ok())
            .filter_map(|artifact| artifact.executable)
            .next_back()
            .context("cargo named no binary")?;
        Ok(Self::of(program, format!("profile {profile}")))
    }
}

impl Launch {
    /// `db check` on the data of a stopped server: whether it is clean, and what was said.
    pub fn check_database(&self, home: &Home) -> Result<(bool, String)> {
        let output = self.command(home, &["db", "check"]).output().context("run db check")?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).trim().to_owned()))
    }

    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.leading).args(arguments).arg("--config").arg(home.config());
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }
}

impl Home {
    /// A fresh folder below `parent` with a configuration for a free port.
    pub fn fresh(parent: &Path, durability: Durability) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("server-").tempdir_in(parent)?;
        let address = free_address()?;
        let home = Self { folder, address, federation: None };
        fs::create_dir(home.data())?;
        fs::write(home.config(), configuration(&home.data(), address, durability))?;
        Ok(home)
    }

    /// Where the server keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The same with other servers, which reach it on a listener of its own: behind a proxy that ends
    /// TLS, as far as it knows. It reaches them where `peers` says.
    pub fn among_others(parent: &Path, durability: Durability, peers: &Peers) -> Result<Self> {
        let mut home = Self::fresh(parent, durability)?;
        let address = free_address()?;
        home.federation = Some(address);
        home.configure(&peers.sections(home.folder.path(), address)?)?;
        Ok(home)
    }

    /// Adds sections to the configuration.
    pub fn configure(&self, sections: &str) -> Result<()> {
        let mut text = fs::read_to_string(self.config())?;
        text.push_str(sections);
        Ok(fs::write(self.config(), text)?)
    }

    /// Bytes in the write-ahead logs of the embedded database.
    pub fn log_bytes(&self) -> Result<u64> {
        log_bytes(&self.data())
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("vestibule.toml")
    }
}

/// A server that anyone may register on and that limits nobody: the limits are not what is measured.
fn configuration(data: &Path, address: SocketAddr, durability: Durability) -> String {
    let durability = match durability {
        Durability::Fsync => "fsync",
        Durability::Os => "os",
    };
    format!(
        r#"[server]
name = "bench.localhost"
data_dir = "{data}"

[[listener]]
bind = "{address}"
serves = ["client"]

[storage]
engine = "rocksdb"
durability = "{durability}"

[registration]
mode = "open"

[class.member]
rates = {{ request = "off" }}

[log]
filter = "warn"
"#,
        data = data.display(),
    )
}

fn log_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let bytes = if entry.file_type()?.is_dir() {
            log_bytes(&entry.path())?
        } else if entry.path().extension().is_some_and(|extension| extension == "log") {
            entry.metadata()?.len()
        } else {
            0
        };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}

impl Server {
    /// Starts the server and waits until it answers; also how long that took.
    pub async fn start(launch: &Launch, home: &Home) -> Result<(Self, Duration)> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(home.folder.path().join("output.txt"))?;
        let started = clock::now();
        let child = launch
            .command(home, &["serve"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", launch.program.display()))?;
        let mut server = Self { child, address: home.address };
        loop {
            if server.is_ready().await {
                return Ok((server, started.elapsed()));
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}: {}", last_words(home));
            }
            if started.elapsed() > START_MAX {
                bail!("the server is not ready after {START_MAX:?}: {}", last_words(home));
            }
            pause(LOOK_EVERY).await;
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop and waits until it has; also how long that took.
    pub async fn stop(mut self) -> Result<Duration> {
        let started = clock::now();
        let asked = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        if !asked.success() {
            bail!("the server could not be asked to stop");
        }
        while started.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                return clean(status).map(|()| started.elapsed());
            }
            pause(LOOK_EVERY).await;
        }
        bail!("the server did not stop within {STOP_MAX:?}")
    }

    /// Kills the server without asking (`SIGKILL`).
    pub fn kill(self) {
        drop(self);
    }

    async fn is_ready(&self) -> bool {
        match Api::anonymous(self.address).await {
            Ok(mut api) => matches!(api.status("/readyz").await, Ok(200)),
            Err(_) => false,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn clean(status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { bail!("the server did not stop cleanly: {status}") }
}

fn last_words(home: &Home) -> String {
    let text = fs::read_to_string(home.folder.path().join("output.txt")).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_write_ahead_logs() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("db")).unwrap();
        fs::write(folder.path().join("db/000004.log"), [0; 30]).unwrap();
        fs::write(folder.path().join("db/LOG"), [0; 50]).unwrap();
        fs::write(folder.path().join("000001.log"), [0; 7]).unwrap();
        assert_eq!(log_bytes(folder.path()).unwrap(), 37);
    }

    #[test]
    fn every_home_has_its_own_folder_and_names_its_durability() {
        let parent = tempfile::tempdir().unwrap();
        let one = Home::fresh(parent.path(), Durability::Fsync).unwrap();
        let two = Home::fresh(parent.path(), Durability::Os).unwrap();
        assert_ne!(one.data(), two.data());
        assert!(fs::read_to_string(one.config()).unwrap().contains(r#"durability = "fsync""#));
        assert!(fs::read_to_string(two.config()).unwrap().contains(r#"durability = "os""#));
    }
}
