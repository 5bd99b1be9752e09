//! A server process with the policy a test is about.

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use vestibule_bench::server::{Launch, free_address};

use crate::{launch, person::Person};

/// The name of every server here.
const NAME: &str = "localhost";
const PASSWORD: &str = "correct horse battery staple";
/// A server or a policy that is not there after so many looks will not come.
const LOOKS_MAX: usize = 600;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Guests by alias.
const GUESTS_BY_ALIAS: &str = r##"
[guests]
enabled = true
open_rooms_by = ["alias"]
alias = "#*:localhost"
"##;
/// Nothing in the way of the many guests of a busy test, whatever lets them in.
pub const MANY_GUESTS: &str = r#"
[guests.caps]
per_ip = 1000
per_ip_per_day = 10000
new_per_minute = 10000
rooms_each = 100

[class.guest]
rates = { message = "6000/min burst 1000", join = "6000/min burst 1000" }

[aliases]
create = "moderator"
"#;

/// A running server with its folder; it is killed when dropped.
#[derive(Debug)]
pub struct Town {
    launch: Launch,
    folder: TempDir,
    address: SocketAddr,
    listener: String,
    child: Child,
}

/// What the command line said.
#[derive(Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub ok: bool,
    /// What it wrote, to both streams.
    pub text: String,
}

impl Town {
    /// A server that opens rooms by their alias; nothing where process tests are switched off.
    pub async fn with_guests() -> Result<Option<Self>> {
        Self::with_policy(&format!("{GUESTS_BY_ALIAS}{MANY_GUESTS}")).await
    }

    /// A server with a policy of its own; nothing where process tests are switched off.
    pub async fn with_policy(policy: &str) -> Result<Option<Self>> {
        Self::raise(policy, "").await
    }

    /// A server with a policy and further keys of its listener.
    pub async fn raise(policy: &str, listener: &str) -> Result<Option<Self>> {
        let Some(launch) = launch()? else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("town-").tempdir()?;
        let address = free_address()?;
        fs::write(config(&folder), configuration(&folder, address, listener, policy))?;
        let output = File::create(folder.path().join("output.txt"))?;
        let child = command(&launch, &folder, &["serve"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", launch.program.display()))?;
        let mut town = Self { launch, folder, address, listener: listener.to_owned(), child };
        town.ready().await?;
        Ok(Some(town))
    }

    /// An alias of this server.
    #[must_use]
    pub fn alias(&self, localpart: &str) -> String {
        format!("#{localpart}:{NAME}")
    }

    /// Somebody without an account, for plain requests.
    #[must_use]
    pub fn nobody(&self) -> Person {
        Person::nobody(self.address)
    }

    /// An account of the given class, made through the command line, and logged in.
    pub async fn person(&self, name: &str, class: &str) -> Result<Person> {
        let said = self.cli(&["user", "create", name, "--class", class], PASSWORD)?;
        ensure!(said.ok, "user create {name}: {}", said.text);
        let login = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": name },
            "password": PASSWORD,
        });
        let nobody = self.nobody();
        let answer = nobody.ask("POST", "/login", login).await?.ok()?;
        nobody.with_session(&answer)
    }

    /// A guest.
    pub async fn guest(&self) -> Result<Person> {
        let nobody = self.nobody();
        let answer = nobody.ask("POST", "/register?kind=guest", json!({})).await?.ok()?;
        nobody.with_session(&answer)
    }

    /// Runs a command beside the server.
    pub fn cli(&self, words: &[&str], input: &str) -> Result<Said> {
        let mut child = command(&self.launch, &self.folder, words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may be gone before everything is written.
            let _unread = stdin.write_all(format!("{input}\n").as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok(Said { ok: output.status.success(), text })
    }

    /// Writes another policy and tells the server so. It takes effect a moment later.
    pub fn swap_policy(&self, policy: &str) -> Result<()> {
        let text = configuration(&self.folder, self.address, &self.listener, policy);
        fs::write(config(&self.folder), text)?;
        let told = Command::new("kill").arg("-HUP").arg(self.child.id().to_string()).status()?;
        ensure!(told.success(), "the server could not be told");
        Ok(())
    }

    /// What the server wrote so far.
    pub fn output(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("output.txt"))?)
    }

    async fn ready(&mut self) -> Result<()> {
        let nobody = self.nobody();
        for _ in 0..LOOKS_MAX {
            if let Ok(answer) = nobody.raw("GET", "/_matrix/client/versions", &Value::Null).await
                && answer.status == 200
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.output()?);
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("the server is not ready: {}", self.output()?)
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn command(launch: &Launch, folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(&launch.program);
    command.args(&launch.leading).args(words).arg("--config").arg(config(folder));
    command
}

fn config(folder: &TempDir) -> PathBuf {
    folder.path().join("vestibule.toml")
}

fn configuration(folder: &TempDir, address: SocketAddr, listener: &str, policy: &str) -> String {
    let data = folder.path().join("data");
    format!(
        r#"[server]
name = "{NAME}"
data_dir = "{data}"

[[listener]]
bind = "{address}"
serves = ["client"]
{listener}

[storage]
durability = "os"

[log]
filter = "warn"
{policy}"#,
        data = data.display(),
    )
}
