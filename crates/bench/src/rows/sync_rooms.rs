//! An incremental sync of one change must not cost more when more rooms are joined.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use super::{Bench, figure};
use crate::{
    clock,
    load::in_parallel,
    matrix::{Api, SyncQuery, User},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

const BAR_RATIO: f64 = 1.5;
/// Rooms are created over this many connections.
const CREATORS: usize = 32;
/// Changes happen in this many of a user's rooms, in turn.
const ROOMS_WITH_NEWS: usize = 10;
/// A sync of a change waits at most this long for it.
const WAIT_MS: u32 = 2_000;

/// A user who follows its rooms.
struct Reader {
    api: Api,
    with_news: Vec<String>,
    since: String,
    initial_ms: f64,
    initial_bytes: usize,
    took_ms: Vec<f64>,
    cpu_s: f64,
}

/// Alternates a change in a room of the one and of the other user; each syncs its own.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let writer = api.register("writer").await?;
    api.speak_for(&writer);
    let few = prepare(server.address, &mut api, "few", bench.scale.rooms_few).await?;
    let started = clock::now();
    let many = prepare(server.address, &mut api, "many", bench.scale.rooms_many).await?;
    let created_per_s =
        figure(u64::try_from(bench.scale.rooms_many)?) / started.elapsed().as_secs_f64();
    let mut readers = [few, many];
    let pid = server.pid();

    let (mut ratios, mut medians) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..bench.scale.rounds {
        for change in 0..bench.scale.changes {
            // The order alternates, so that neither always comes second.
            for turn in 0..2 {
                let who = (turn + change) % 2;
                let reader = readers.get_mut(who).context("two readers")?;
                reader.follow(&mut api, pid, change, &format!("{round}-{change}")).await?;
            }
        }
        for (reader, into) in readers.iter_mut().zip(&mut medians) {
            into.push(median(&std::mem::take(&mut reader.took_ms)));
        }
        if let [Some(few), Some(many)] = medians.each_ref().map(|of| of.last()) {
            ratios.push(many / few);
        }
    }
    server.stop().await?;

    let [few, many] = readers;
    let [few_ms, many_ms] = medians;
    let changes = figure(u64::try_from(bench.scale.changes.saturating_mul(bench.scale.rounds))?);
    let per_change = |reader: &Reader| rounded(reader.cpu_s * 1e6 / changes);
    let ratio = Row::new("sync of one change, many/few rooms", "ratio", ratios)
        .with_bar(Bar::at_most(BAR_RATIO, "1.5"))
        .with("rooms_few", bench.scale.rooms_few)
        .with("rooms_many", bench.scale.rooms_many)
        .with("server_us_few", per_change(&few))
        .with("server_us_many", per_change(&many))
        .with("rooms_created_and_synced_per_s", rounded(created_per_s));
    let row = |name: &str, samples, reader: &Reader| {
        Row::new(name, "ms", samples)
            .with("initial_sync_ms", rounded(reader.initial_ms))
            .with("initial_sync_bytes", reader.initial_bytes)
    };
    Ok(vec![
        ratio,
        row("sync of one change, few rooms", few_ms, &few),
        row("sync of one change, many rooms", many_ms, &many),
    ])
}

/// A user with `count` rooms; the writer joins some of them.
async fn prepare(
    address: SocketAddr,
    writer: &mut Api,
    name: &str,
    count: usize,
) -> Result<Reader> {
    let user = Api::anonymous(address).await?.register(name).await?;
    let rooms = create_rooms(address, &user, count).await?;
    let step = (count / ROOMS_WITH_NEWS).max(1);
    let with_news: Vec<_> = rooms.into_iter().step_by(step).take(ROOMS_WITH_NEWS).collect();
    for room in &with_news {
        writer.join(room).await?;
    }
    let mut api = Api::of(address, &user).await?;
    let started = clock::now();
    let (since, initial_bytes) = api.sync(&SyncQuery::default(), <[u8]>::len).await?;
    let initial_ms = started.elapsed().as_secs_f64() * 1_000.0;
    Ok(Reader { api, with_news, since, initial_ms, initial_bytes, took_ms: Vec::new(), cpu_s: 0.0 })
}

async fn create_rooms(address: SocketAddr, user: &User, count: usize) -> Result<Vec<String>> {
    let share = count.div_ceil(CREATORS);
    let shares = (0..CREATORS).map(|creator| share.min(count.saturating_sub(creator * share)));
    let created = in_parallel(CREATORS, shares, |share| {
        let user = user.clone();
        async move {
            let mut api = Api::of(address, &user).await?;
            let mut rooms = Vec::with_capacity(share);
            for _ in 0..share {
                rooms.push(api.create_room().await?);
            }
            Ok(rooms)
        }
    });
    Ok(created.await?.concat())
}

impl Reader {
    /// One change by the writer, then the sync that shows it.
    async fn follow(&mut self, writer: &mut Api, pid: u32, change: usize, tag: &str) -> Result<()> {
        let room = self.with_news.get(change % self.with_news.len().max(1)).context("no room")?;
        writer.message(room, tag).await?;
        let query = SyncQuery { since: Some(&self.since), timeout_ms: WAIT_MS, timeline: None };
        let cpu = process::cpu_seconds(pid)?;
        let started = clock::now();
        let mut took_ms = 0.0;
        let (since, shown) = self
            .api
            .sync(&query, |body| {
                took_ms = started.elapsed().as_secs_f64() * 1_000.0;
                body.windows(room.len()).any(|window| window == room.as_bytes())
            })
            .await?;
        self.cpu_s += process::cpu_seconds(pid)? - cpu;
        ensure!(shown, "the sync after a message in {room} does not show that room");
        ensure!(since != self.since, "the sync after a message does not move on");
        self.since = since;
        self.took_ms.push(took_ms);
        Ok(())
    }
}
