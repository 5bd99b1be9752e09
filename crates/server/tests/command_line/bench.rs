//! A folder with a configuration, and the binary beside it.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A folder with a configuration.
pub(crate) struct Bench {
    folder: TempDir,
    data: PathBuf,
    pub(crate) port: u16,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_data_in("data")
    }

    /// The data folder lies at this place in the folder.
    pub(crate) fn with_data_in(place: &str) -> Self {
        // Freed at once and taken by the server a moment later.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join(place);
        let bench = Self { folder, data, port: free.local_addr().unwrap().port() };
        bench.write("");
        bench
    }

    /// Writes the usual configuration and some more.
    pub(crate) fn write(&self, more: &str) {
        let data = self.data.display();
        let text = format!(
            "[server]\nname = \"localhost\"\ndata_dir = \"{data}\"\n\
             [[listener]]\nbind = \"127.0.0.1:{}\"\n{more}",
            self.port
        );
        fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("vestibule.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        command.arg("--config").arg(self.config()).args(words.split_whitespace());
        command
    }

    pub(crate) fn run(&self, words: &str) -> Said {
        self.run_with(words, "")
    }

    pub(crate) fn run_with(&self, words: &str, input: &str) -> Said {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn serve(&self) -> Served {
        let child = self.command("serve").stderr(Stdio::piped()).spawn().unwrap();
        let mut served = Served(child);
        let deadline = deadline();
        while !self.answers() {
            assert!(served.0.try_wait().unwrap().is_none(), "{}", served.end());
            assert!(!passed(deadline), "the server does not answer");
            pause();
        }
        served
    }
}

impl Bench {
    /// Whether a server answers: then it also has its socket.
    fn answers(&self) -> bool {
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(
                b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

/// A running server; killed when the test ends.
pub(crate) struct Served(Child);

impl Served {
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end and returns the log.
    pub(crate) fn end(&mut self) -> String {
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let status = self.0.wait().unwrap();
        format!("{log}\n{status}")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of a process waits in real time")]
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[expect(clippy::disallowed_methods, reason = "a test of a process waits in real time")]
fn passed(deadline: Instant) -> bool {
    Instant::now() > deadline
}

#[expect(clippy::disallowed_methods, reason = "a test of a process waits in real time")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
