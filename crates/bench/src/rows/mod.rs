//! What is measured: one file per setting, each returning its rows.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    matrix::{Api, User},
    probe::Probes,
    report::Row,
    server::Launch,
};

pub mod claims;
pub mod cpu_per_send;
pub mod dead_servers;
pub mod history;
pub mod idle;
pub mod join;
pub mod large_account;
pub mod large_file;
pub mod long_polls;
pub mod pages;
pub mod ready;
pub mod resolving;
mod scale;
pub mod searching;
pub mod sending;
pub mod store;
pub mod sync_rooms;
pub mod transactions;

pub use self::scale::Scale;

/// A row that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Name {
    /// Resident memory of a server with an empty database.
    Idle,
    /// Durable messages per second of one sender.
    OneSender,
    /// Durable messages per second of many senders, each in its own room.
    ManyRooms,
    /// Durable messages per second of many senders in one room.
    OneRoom,
    /// The sending rows with `durability = "os"`.
    OsDurability,
    /// Incremental sync with few and with many joined rooms.
    SyncRooms,
    /// First sync, first page and a sync over gaps of an account with many rooms.
    LargeAccount,
    /// Memory of parked long-polls.
    LongPolls,
    /// Pages of a long and of a short history.
    Messages,
    /// Searching many messages.
    Search,
    /// Memory for a large file, up and down.
    LargeFile,
    /// One-time keys claimed per second.
    Claims,
    /// Processor time of a message, old and new server in turn.
    CpuPerSend,
    /// Time until ready with many events on disk.
    Ready,
    /// Events that come from many servers.
    Transactions,
    /// Joining a large room of another server.
    Join,
    /// What servers that do not answer cost.
    DeadServers,
    /// State resolution in memory.
    Resolving,
    /// The store without a server.
    Store,
}

/// What every row needs to know.
#[derive(Debug)]
pub struct Bench {
    /// What is started.
    pub launch: Launch,
    /// An older server, which the processor time of a message is held against.
    pub against: Option<Launch>,
    /// Where data folders and probes live.
    pub folder: PathBuf,
    /// How much of everything.
    pub scale: Scale,
    /// Which rows are wanted; all when empty.
    pub only: Vec<Name>,
}

impl Bench {
    /// Whether a row is to be measured.
    #[must_use]
    pub fn wants(&self, name: Name) -> bool {
        self.only.is_empty() || self.only.contains(&name)
    }

    /// Measures every wanted row; `progress` hears which one is next.
    pub async fn run(&self, progress: &mut dyn FnMut(&str)) -> Result<(Vec<Row>, Option<Probes>)> {
        let mut rows = Vec::new();
        let mut probes = None;
        if self.wants(Name::Idle) {
            progress("idle memory");
            rows.push(idle::measure(self).await.context("idle memory")?);
        }
        if sending::WITH_FSYNC.iter().any(|name| self.wants(*name)) {
            progress("sending");
            let (found, seen) = sending::measure(self).await.context("sending")?;
            rows.extend(found);
            probes = Some(seen);
        }
        if self.wants(Name::OsDurability) {
            progress("sending without fsync");
            rows.extend(sending::measure_os(self).await.context("sending without fsync")?);
        }
        if self.wants(Name::SyncRooms) {
            progress("sync with few and with many rooms");
            rows.extend(sync_rooms::measure(self).await.context("sync")?);
        }
        if self.wants(Name::LongPolls) {
            progress("parked long-polls");
            rows.extend(long_polls::measure(self).await.context("parked long-polls")?);
        }
        if self.wants(Name::Ready) {
            progress("time until ready");
            rows.extend(ready::measure(self).await.context("time until ready")?);
        }
        if !self.launch.stands_in {
            self.run_with_much(progress, &mut rows).await?;
            self.run_among_others(progress, &mut rows).await?;
        }
        if self.wants(Name::Resolving) {
            progress("state resolution");
            rows.extend(resolving::measure(self).context("state resolution")?);
        }
        if self.wants(Name::Store) {
            progress("the store alone");
            rows.extend(store::measure(self).await.context("the store alone")?);
        }
        Ok((rows, probes))
    }

    /// The rows with large accounts, long histories and large files.
    async fn run_with_much(
        &self,
        progress: &mut dyn FnMut(&str),
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if self.wants(Name::LargeAccount) {
            progress("an account with many rooms");
            rows.extend(large_account::measure(self).await.context("a large account")?);
        }
        if self.wants(Name::Messages) || self.wants(Name::Search) {
            progress("a long history");
            rows.extend(history::measure(self).await.context("a long history")?);
        }
        if self.wants(Name::LargeFile) {
            progress("a large file");
            rows.extend(large_file::measure(self).await.context("a large file")?);
        }
        if self.wants(Name::Claims) {
            progress("one-time keys");
            rows.extend(claims::measure(self).await.context("one-time keys")?);
        }
        if let Some(against) = self.against.as_ref().filter(|_| self.wants(Name::CpuPerSend)) {
            progress("processor time of a message");
            let found = cpu_per_send::measure(self, against).await;
            rows.extend(found.context("processor time of a message")?);
        }
        Ok(())
    }

    /// The rows with other servers in them.
    async fn run_among_others(
        &self,
        progress: &mut dyn FnMut(&str),
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if self.wants(Name::Transactions) {
            progress("events from other servers");
            rows.extend(transactions::measure(self).await.context("events from other servers")?);
        }
        if self.wants(Name::Join) {
            progress("joining a large room elsewhere");
            rows.extend(join::measure(self).await.context("joining a large room elsewhere")?);
        }
        if self.wants(Name::DeadServers) {
            progress("servers that do not answer");
            rows.extend(dead_servers::measure(self).await.context("servers that do not answer")?);
        }
        Ok(())
    }
}

/// Registers `count` users over one connection.
async fn register(api: &mut Api, prefix: &str, count: usize) -> Result<Vec<User>> {
    let mut users = Vec::with_capacity(count);
    for number in 0..count {
        users.push(api.register(&format!("{prefix}{number}")).await?);
    }
    Ok(users)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below 2^52")]
fn figure(count: u64) -> f64 {
    count as f64
}
