//! What the stage tells the scenario, and the little the scenario may ask of it.

use std::{collections::BTreeMap, io::Write};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The file the stage writes for a scenario.
#[derive(Deserialize)]
pub struct Stage {
    /// Where the server listens for clients.
    pub url: String,
    /// The password of each person, by localpart.
    pub passwords: BTreeMap<String, String>,
    /// A second server, which talks to the first: then everybody but Alice is there.
    pub elsewhere: Option<Box<Stage>>,
}

impl Stage {
    /// Reads the file named on the command line.
    pub fn read() -> anyhow::Result<Self> {
        let path = std::env::args().nth(1).context("usage: scenario STAGE.json")?;
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// The server a person is on.
    pub fn of(&self, who: &str) -> &Self {
        match &self.elsewhere {
            Some(elsewhere) if who != "alice" => elsewhere,
            _ => self,
        }
    }

    /// A person's password.
    pub fn password(&self, who: &str) -> anyhow::Result<&str> {
        self.of(who)
            .passwords
            .get(who)
            .map(String::as_str)
            .with_context(|| format!("nobody called {who} is here"))
    }

    /// Has the server stopped and started again: same data, same port.
    pub async fn restart(&self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(|| {
            println!("stage: restart");
            std::io::stdout().flush()?;
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer)?;
            ensure!(answer.trim() == "restarted", "the stage said {answer:?}");
            Ok(())
        })
        .await?
    }
}
