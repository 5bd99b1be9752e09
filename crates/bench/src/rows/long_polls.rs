//! Memory of parked long-polls, and how fast they all wake.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use super::{Bench, figure};
use crate::{
    clock,
    load::{in_parallel, pause},
    matrix::{Api, SyncQuery, User},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server, free_address},
};

const BAR_KIB: f64 = 20.0;
/// All must be woken in this many times what a bare broadcast takes.
const BAR_RATIO: f64 = 4.0;
/// Users are registered over this many connections.
const REGISTRARS: usize = 4;
/// How long a poll is willing to wait.
const PARK_MS: u32 = 120_000;
/// Messages that wake everybody, in one sample of the ratio, which is their median.
const WAKES: usize = 3;

/// One restarted server per sample: all users sync once, rest, park, rest, and wake by one message, and later
/// by one receipt.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let crowd = gather(bench, server.address).await?;
    server.stop().await?;

    let (mut each_kib, mut wake_ms, mut before_mb) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_ms, mut ratios) = (Vec::new(), Vec::new());
    let (mut server_cpu, mut broadcast_cpu) = (Vec::new(), Vec::new());
    let (mut receipt_ms, mut receipt_cpu) = (Vec::new(), Vec::new());
    for round in 0..bench.scale.rounds {
        let (server, _) = Server::start(&bench.launch, &home).await?;
        let sample = sample(bench, &server, &crowd, round).await?;
        server.stop().await?;
        let bare = bare(bench, &crowd.users, sample.answer_bytes).await?;
        each_kib.push(sample.each_kib);
        before_mb.push(sample.before_mb);
        ratios.push(sample.wakes.took_ms / bare.took_ms);
        wake_ms.push(sample.wakes.took_ms);
        server_cpu.push(sample.wakes.cpu_us);
        receipt_ms.push(sample.receipts.took_ms);
        receipt_cpu.push(sample.receipts.cpu_us);
        bare_ms.push(bare.took_ms);
        broadcast_cpu.push(bare.cpu_us);
    }
    let polls = crowd.users.len();
    let memory = Row::new("parked long-poll", "KiB", each_kib)
        .with_bar(Bar::at_most(BAR_KIB, "20 KiB of resident memory each"))
        .with("polls", polls)
        .with("server_before_mb", rounded(median(&before_mb)));
    let wake = Row::new("wake all long-polls, server/broadcast", "ratio", ratios)
        .with_bar(Bar::at_most(BAR_RATIO, "4 × a bare broadcast"))
        .with("polls", polls)
        .with("wake_ms", rounded(median(&wake_ms)))
        .with("broadcast_ms", rounded(median(&bare_ms)))
        .with("server_us_per_poll", rounded(median(&server_cpu)))
        .with("receipt_ms", rounded(median(&receipt_ms)))
        .with("receipt_us_per_poll", rounded(median(&receipt_cpu)))
        .with("broadcast_us_per_poll", rounded(median(&broadcast_cpu)));
    Ok(vec![memory, wake])
}

/// Who waits, and who wakes them where.
struct Crowd {
    users: Vec<User>,
    owner: User,
    room: String,
}

struct Sample {
    each_kib: f64,
    wakes: Wakes,
    /// By receipts instead of messages.
    receipts: Wakes,
    before_mb: f64,
    answer_bytes: usize,
}

/// What waking everybody took.
struct Wakes {
    took_ms: f64,
    /// Processor time of the process that answers, for each poll.
    cpu_us: f64,
}

impl Wakes {
    /// The median of some wakes, which used so much processor time together.
    fn of(took_ms: &[f64], cpu_s: f64, polls: usize) -> Result<Self> {
        let polls = figure(u64::try_from(took_ms.len().saturating_mul(polls))?);
        Ok(Self { took_ms: median(took_ms), cpu_us: cpu_s * 1e6 / polls })
    }
}

/// Registers everybody and brings them into one room.
async fn gather(bench: &Bench, address: SocketAddr) -> Result<Crowd> {
    let numbers = 0..bench.scale.polls;
    let users = in_parallel(REGISTRARS, numbers, |number| async move {
        Api::anonymous(address).await?.register(&format!("reader{number}")).await
    });
    let users = users.await?;
    let mut writer = Api::anonymous(address).await?;
    let owner = writer.register("writer").await?;
    writer.speak_for(&owner);
    let room = writer.create_room().await?;
    for user in &users {
        writer.speak_for(user);
        writer.join(&room).await?;
    }
    Ok(Crowd { users, owner, room })
}

async fn sample(bench: &Bench, server: &Server, crowd: &Crowd, round: usize) -> Result<Sample> {
    let tokens = first_syncs(server.address, &crowd.users).await?;
    pause(bench.scale.settle).await;
    let before = process::resident_bytes(server.pid())?;

    let mut waiting = Vec::with_capacity(crowd.users.len());
    for (user, since) in crowd.users.iter().zip(tokens) {
        waiting.push((Api::of(server.address, user).await?, since));
    }
    let mut parked = park(waiting);
    pause(bench.scale.settle).await;
    let after = process::resident_bytes(server.pid())?;

    let mut writer = Api::of(server.address, &crowd.owner).await?;
    let (mut messages, mut receipts, mut said) = (Tally::default(), Tally::default(), Vec::new());
    for wake in 0..WAKES {
        still_parked(&mut parked)?;
        let begun = Begun::now(server)?;
        said.push(writer.message(&crowd.room, &format!("wake{round}-{wake}")).await?);
        parked = park(messages.add(server, begun, parked).await?);
        pause(bench.scale.settle / 3).await;
    }
    for event in &said {
        still_parked(&mut parked)?;
        let begun = Begun::now(server)?;
        writer.receipt(&crowd.room, event).await?;
        parked = park(receipts.add(server, begun, parked).await?);
        pause(bench.scale.settle / 3).await;
    }
    let polls = crowd.users.len();
    Ok(Sample {
        each_kib: (figure(after) - figure(before)) / 1_024.0 / figure(u64::try_from(polls)?),
        answer_bytes: messages.answer_bytes,
        wakes: messages.wakes(polls)?,
        receipts: receipts.wakes(polls)?,
        before_mb: figure(before) / 1e6,
    })
}

/// When something was done, and what the server had used until then.
struct Begun {
    at: std::time::Instant,
    cpu_s: f64,
}

impl Begun {
    fn now(server: &Server) -> Result<Self> {
        Ok(Self { cpu_s: process::cpu_seconds(server.pid())?, at: clock::now() })
    }
}

/// What several wakes took.
#[derive(Default)]
struct Tally {
    took_ms: Vec<f64>,
    cpu_s: f64,
    answer_bytes: usize,
}

impl Tally {
    /// Waits until everybody has an answer. Returns who may wait again.
    async fn add(
        &mut self,
        server: &Server,
        begun: Begun,
        parked: JoinSet<Result<Answered>>,
    ) -> Result<Vec<(Api, String)>> {
        let woken = all_woken(parked, begun.at).await?;
        self.cpu_s += process::cpu_seconds(server.pid())? - begun.cpu_s;
        self.took_ms.push(woken.took_ms);
        self.answer_bytes = woken.answer_bytes;
        Ok(woken.waiting)
    }

    fn wakes(&self, polls: usize) -> Result<Wakes> {
        Wakes::of(&self.took_ms, self.cpu_s, polls)
    }
}

/// The same polls at a server that only broadcasts; until the last one has its answer.
async fn bare(bench: &Bench, users: &[User], bytes: usize) -> Result<Wakes> {
    let probe = Probe::start(bytes).await?;
    let mut waiting = Vec::with_capacity(users.len());
    for user in users {
        waiting.push((Api::of(probe.address, user).await?, String::new()));
    }
    let mut writer = Api::anonymous(probe.address).await?;
    let (mut wakes_ms, mut cpu_s) = (Vec::new(), 0.0);
    for _ in 0..WAKES {
        let mut parked = park(waiting);
        pause(bench.scale.settle / 3).await;
        still_parked(&mut parked)?;
        let cpu = process::cpu_seconds(probe.child.id())?;
        let sent = clock::now();
        writer.json("POST", "/wake", &serde_json::json!({})).await?;
        let woken = all_woken(parked, sent).await?;
        cpu_s += process::cpu_seconds(probe.child.id())? - cpu;
        wakes_ms.push(woken.took_ms);
        waiting = woken.waiting.into_iter().map(|(api, _)| (api, String::new())).collect();
    }
    Wakes::of(&wakes_ms, cpu_s, users.len())
}

/// One poll that was answered: when, what leads on, and how long the answer was.
struct Answered {
    at: std::time::Instant,
    api: Api,
    next: String,
    bytes: usize,
}

/// Everybody was answered.
struct Woken {
    took_ms: f64,
    waiting: Vec<(Api, String)>,
    answer_bytes: usize,
}

/// Lets everybody wait for news.
fn park(waiting: Vec<(Api, String)>) -> JoinSet<Result<Answered>> {
    let mut parked = JoinSet::new();
    for (mut api, since) in waiting {
        parked.spawn(async move {
            let query = SyncQuery { since: Some(&since), timeout_ms: PARK_MS, timeline: Some(1) };
            let (next, bytes) = api.sync(&query, <[u8]>::len).await?;
            ensure!(next != since, "a poll ended without news");
            Ok(Answered { at: clock::now(), api, next, bytes })
        });
    }
    parked
}

/// Refuses a poll that did not wait.
fn still_parked(parked: &mut JoinSet<Result<Answered>>) -> Result<()> {
    match parked.try_join_next() {
        Some(ended) => ended?.and_then(|_| anyhow::bail!("a poll did not park")),
        None => Ok(()),
    }
}

async fn all_woken(
    mut parked: JoinSet<Result<Answered>>,
    sent: std::time::Instant,
) -> Result<Woken> {
    let (mut last, mut waiting, mut answer_bytes) = (sent, Vec::new(), 0);
    while let Some(answered) = parked.join_next().await {
        let Answered { at, api, next, bytes } = answered.context("a poll broke off")??;
        last = last.max(at);
        answer_bytes = bytes;
        waiting.push((api, next));
    }
    let took_ms = last.duration_since(sent).as_secs_f64() * 1_000.0;
    Ok(Woken { took_ms, waiting, answer_bytes })
}

/// Everybody's position, asked over one connection so that none is left behind.
async fn first_syncs(address: SocketAddr, users: &[User]) -> Result<Vec<String>> {
    let mut api = Api::anonymous(address).await?;
    let mut tokens = Vec::with_capacity(users.len());
    for user in users {
        api.speak_for(user);
        let query = SyncQuery { timeline: Some(1), ..SyncQuery::default() };
        tokens.push(api.sync(&query, |_| ()).await?.0);
    }
    Ok(tokens)
}

/// The process that only broadcasts; it is killed when dropped.
struct Probe {
    child: Child,
    address: SocketAddr,
}

impl Probe {
    async fn start(bytes: usize) -> Result<Self> {
        let address = free_address()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["rehearse", "broadcast", "--address", &address.to_string()])
            .args(["--bytes", &bytes.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("start the broadcast")?;
        let mut probe = Self { child, address };
        while Api::anonymous(address).await.is_err() {
            ensure!(probe.child.try_wait()?.is_none(), "the broadcast ended");
            pause(std::time::Duration::from_millis(1)).await;
        }
        Ok(probe)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
