//! What is measured: one file per setting, each returning its rows.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    matrix::{Api, User},
    probe::Probes,
    report::Row,
    server::Launch,
};

pub mod dead_servers;
pub mod idle;
pub mod join;
pub mod long_polls;
pub mod ready;
pub mod resolving;
pub mod sending;
pub mod store;
pub mod sync_rooms;
pub mod transactions;

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
    /// Memory of parked long-polls.
    LongPolls,
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
    /// Where data folders and probes live.
    pub folder: PathBuf,
    /// How much of everything.
    pub scale: Scale,
    /// Which rows are wanted; all when empty.
    pub only: Vec<Name>,
}

/// Sizes of a run.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Samples of every row.
    pub rounds: usize,
    /// Length of one sample of the sending rows.
    pub sample: Duration,
    /// Length of one sample of a probe.
    pub probe: Duration,
    /// Rest before memory is read.
    pub settle: Duration,
    /// Concurrent senders.
    pub senders: usize,
    /// Messages of the one sender that show how many bytes one writes.
    pub weighed: u64,
    /// Joined rooms of the user with few.
    pub rooms_few: usize,
    /// Joined rooms of the user with many.
    pub rooms_many: usize,
    /// Changes synced in one sample.
    pub changes: usize,
    /// Parked long-polls.
    pub polls: usize,
    /// Events on disk at the start.
    pub events: u64,
    /// Other servers.
    pub servers: usize,
    /// Transactions of each of them in one sample.
    pub transactions: usize,
    /// Members of a room of another server.
    pub members: u32,
}

impl Scale {
    /// The sizes of the bars.
    pub const FULL: Self = Self {
        rounds: 5,
        sample: Duration::from_secs(5),
        probe: Duration::from_secs(1),
        settle: Duration::from_secs(3),
        senders: 64,
        weighed: 1_000,
        rooms_few: 10,
        rooms_many: 10_000,
        changes: 200,
        polls: 1_000,
        events: 1_000_000,
        servers: 50,
        transactions: 8,
        members: 10_000,
    };

    /// Small sizes for a look while working; no claim.
    pub const QUICK: Self = Self {
        rounds: 3,
        sample: Duration::from_secs(2),
        probe: Duration::from_millis(500),
        settle: Duration::from_secs(1),
        rooms_many: 1_000,
        changes: 50,
        polls: 300,
        events: 50_000,
        transactions: 2,
        members: 5_000,
        ..Self::FULL
    };

    /// Tiny sizes that prove the bench and measure nothing.
    pub const REHEARSAL: Self = Self {
        rounds: 2,
        sample: Duration::from_millis(200),
        probe: Duration::from_millis(50),
        settle: Duration::from_millis(50),
        senders: 4,
        weighed: 20,
        rooms_few: 3,
        rooms_many: 30,
        changes: 5,
        polls: 20,
        events: 500,
        servers: 3,
        transactions: 2,
        members: 150,
    };
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
