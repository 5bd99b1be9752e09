//! Memory of parked long-polls, and how fast they all wake.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::{Bench, figure};
use crate::{
    clock,
    load::{in_parallel, pause},
    matrix::{Api, SyncQuery, User},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

const BAR_KIB: f64 = 20.0;
/// Users are registered over this many connections.
const REGISTRARS: usize = 4;
/// How long a poll is willing to wait.
const PARK_MS: u32 = 120_000;

/// One restarted server per sample: all users sync once, rest, park, rest, and wake by one message.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let address = server.address;
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
    drop(writer);
    server.stop().await?;
    let crowd = Crowd { users, owner, room };

    let (mut each_kib, mut wake_ms, mut before_mb) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.scale.rounds {
        let (server, _) = Server::start(&bench.launch, &home).await?;
        let sample = sample(bench, &server, &crowd, round).await?;
        each_kib.push(sample.each_kib);
        wake_ms.push(sample.wake_ms);
        before_mb.push(sample.before_mb);
        server.stop().await?;
    }
    let memory = Row::new("parked long-poll", "KiB", each_kib)
        .with_bar(Bar::at_most(BAR_KIB, "20 KiB of resident memory each"))
        .with("polls", crowd.users.len())
        .with("server_before_mb", rounded(median(&before_mb)));
    let wake = Row::new("wake all long-polls", "ms", wake_ms).with("polls", crowd.users.len());
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
    wake_ms: f64,
    before_mb: f64,
}

async fn sample(bench: &Bench, server: &Server, crowd: &Crowd, round: usize) -> Result<Sample> {
    let tokens = first_syncs(server.address, &crowd.users).await?;
    pause(bench.scale.settle).await;
    let before = process::resident_bytes(server.pid())?;

    let mut parked = JoinSet::new();
    for (user, since) in crowd.users.iter().zip(tokens) {
        let mut api = Api::of(server.address, user).await?;
        parked.spawn(async move {
            let query = SyncQuery { since: Some(&since), timeout_ms: PARK_MS, small: true };
            let (next, ()) = api.sync(&query, |_| ()).await?;
            ensure!(next != since, "a poll ended without news");
            Ok(clock::now())
        });
    }
    pause(bench.scale.settle).await;
    if let Some(ended) = parked.try_join_next() {
        ended??;
        anyhow::bail!("a poll did not park");
    }
    let after = process::resident_bytes(server.pid())?;

    let sent = clock::now();
    let mut writer = Api::of(server.address, &crowd.owner).await?;
    writer.message(&crowd.room, &format!("wake{round}")).await?;
    let mut last = sent;
    while let Some(woken) = parked.join_next().await {
        last = last.max(woken??);
    }
    let polls = figure(u64::try_from(crowd.users.len())?);
    Ok(Sample {
        each_kib: (figure(after) - figure(before)) / 1_024.0 / polls,
        wake_ms: last.duration_since(sent).as_secs_f64() * 1_000.0,
        before_mb: figure(before) / 1e6,
    })
}

/// Everybody's position, asked over one connection so that none is left behind.
async fn first_syncs(address: SocketAddr, users: &[User]) -> Result<Vec<String>> {
    let mut api = Api::anonymous(address).await?;
    let mut tokens = Vec::with_capacity(users.len());
    for user in users {
        api.speak_for(user);
        let query = SyncQuery { small: true, ..SyncQuery::default() };
        tokens.push(api.sync(&query, |_| ()).await?.0);
    }
    Ok(tokens)
}
