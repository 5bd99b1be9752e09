//! A room with a long history: reading it page by page, and searching it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Bench, Name, figure, pages, register, searching};
use crate::{
    clock, corpus,
    load::{Lane, Until, in_parallel, pause, send},
    matrix::{Api, User},
    report::{Row, rounded},
    server::{Durability, Home, Server},
};

/// Rooms beside the long one and the short one.
const OTHER_ROOMS: usize = 30;
/// Messages of each of those: this share of the short one's.
const OTHER_SHARE: u64 = 10;
/// The index must have found everything after this time.
const INDEXED_MAX: Duration = Duration::from_mins(40);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A word that is said last in each room.
const LAST_WORD: &str = "zzfinis";

/// The rooms, and who reads them.
#[derive(Debug)]
pub struct Setting {
    /// Where the server is.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Who reads; a member of every room.
    pub reader: User,
    /// The room with many messages.
    pub long: String,
    /// The room with few.
    pub short: String,
    /// Messages in all rooms.
    pub messages: u64,
}

/// Fills the rooms once for both rows.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let started = clock::now();
    let (setting, rooms) = fill(bench, &server).await?;
    let filled_per_s = figure(setting.messages) / started.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    if bench.wants(Name::Search) {
        let started = clock::now();
        setting.wait_for_index(&rooms).await?;
        let index_s = started.elapsed().as_secs_f64();
        let found = searching::measure(bench, &setting).await.context("search")?;
        rows.extend(found.into_iter().map(|row| row.with("index_lag_s", rounded(index_s))));
    }
    if bench.wants(Name::Messages) {
        rows.extend(pages::measure(bench, &setting).await.context("pages of messages")?);
    }
    server.stop().await?;
    Ok(rows.into_iter().map(|row| row.with("filled_per_s", rounded(filled_per_s))).collect())
}

/// Fills the rooms, each by all users at once; the reader says a last word in each.
async fn fill(bench: &Bench, server: &Server) -> Result<(Setting, Vec<String>)> {
    let mut api = Api::anonymous(server.address).await?;
    let users = register(&mut api, "teller", bench.scale.senders).await?;
    let reader = users.first().context("there are no users")?.clone();
    let short = bench.scale.short_history;
    let others = std::iter::repeat_n((short / OTHER_SHARE).max(1), OTHER_ROOMS);
    let sizes: Vec<u64> = [bench.scale.long_history, short].into_iter().chain(others).collect();
    let (mut rooms, mut messages) = (Vec::new(), 0);
    for (number, size) in sizes.into_iter().enumerate() {
        let room = shared_room(&mut api, &users).await?;
        let lane =
            |user: &User| Lane { says: corpus::text, ..Lane::of(user.clone(), room.clone()) };
        let lanes: Vec<Lane> = users.iter().map(lane).collect();
        let until = Until::EachSent(size.div_ceil(u64::try_from(lanes.len())?));
        let run = format!("history{number}");
        messages += send(server.address, server.pid(), &lanes, until, &run).await?.events;
        // Over a new connection: one that rested as long as filling takes is closed.
        api = Api::of(server.address, &reader).await?;
        api.message(&room, LAST_WORD).await?;
        rooms.push(room);
    }
    let [long, short, ..] = rooms.as_slice() else { anyhow::bail!("there are no rooms") };
    let (long, short) = (long.clone(), short.clone());
    let (address, pid) = (server.address, server.pid());
    Ok((Setting { address, pid, reader, long, short, messages }, rooms))
}

/// A room of all users.
async fn shared_room(api: &mut Api, users: &[User]) -> Result<String> {
    let (owner, others) = users.split_first().context("there are no users")?;
    api.speak_for(owner);
    let room = api.create_room().await?;
    for user in others {
        api.speak_for(user);
        api.join(&room).await?;
    }
    Ok(room)
}

impl Setting {
    /// Waits until the last word of every room is found. Rooms that are asked for are put into the
    /// index sooner, so each is asked for.
    async fn wait_for_index(&self, rooms: &[String]) -> Result<()> {
        let (address, reader) = (self.address, self.reader.clone());
        in_parallel(rooms.len(), rooms.to_vec(), |room| {
            let reader = reader.clone();
            async move {
                let mut api = Api::of(address, &reader).await?;
                let query = searching::Query::recent(LAST_WORD).only(&room);
                let started = clock::now();
                while api.answer("POST", searching::PATH, &query.body(), count).await?? == 0 {
                    ensure!(started.elapsed() < INDEXED_MAX, "the index does not catch up");
                    pause(LOOK_EVERY).await;
                }
                Ok(())
            }
        })
        .await
        .map(drop)
    }
}

/// How many results an answer counts.
fn count(body: &[u8]) -> Result<u64> {
    let answer: Value = serde_json::from_slice(body)?;
    let count = answer.pointer("/search_categories/room_events/count").and_then(Value::as_u64);
    count.context("an answer without a count")
}
