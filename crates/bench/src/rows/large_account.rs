//! What an account with many rooms waits for: the first sync, the first page of a sliding sync, and
//! a sync after so much happened that timelines have gaps.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bench, figure, register};
use crate::{
    clock,
    load::{Lane, Until, in_parallel, send},
    matrix::{Api, SyncQuery, User},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

const BAR_INITIAL_MS: f64 = 2_000.0;
const BAR_PAGE_MS: f64 = 100.0;
const BAR_GAPPY_MS: f64 = 150.0;
/// Rooms are made over this many connections.
const CREATORS: usize = 32;
/// Others in each room.
const FRIENDS: usize = 4;
/// Messages in each room before anything is measured.
const MESSAGES: usize = 10;
/// Events of each timeline that the sync over the gaps asks for.
const TIMELINE: u32 = 10;
/// Messages in each room with a gap: three timelines.
const MESSAGES_IN_GAP: u64 = 30;
/// First pages and first syncs in one sample, which is their median.
const TRIES: usize = 3;
/// Rooms on the first page of a sliding sync.
const PAGE: usize = 20;
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// The account, and who writes to it.
struct Setting {
    address: SocketAddr,
    user: User,
    friends: Vec<User>,
    rooms: Vec<String>,
}

#[derive(Default)]
struct Samples {
    initial_ms: Vec<f64>,
    page_ms: Vec<f64>,
    gappy_ms: Vec<f64>,
    initial_bytes: usize,
    page_bytes: usize,
    gappy_bytes: usize,
    initial_cpu_s: f64,
    gappy_cpu_s: f64,
}

/// The part of a sync's answer that says which rooms it shows.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    rooms: ShownRooms,
}

#[derive(Default, Deserialize)]
struct ShownRooms {
    #[serde(default)]
    join: std::collections::BTreeMap<String, Value>,
}

/// Makes the account, then measures the three in turn.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let setting = Setting::prepare(bench, server.address).await?;
    let mut samples = Samples::default();
    for round in 0..bench.scale.rounds {
        setting.sample(bench, server.pid(), (&mut samples, round)).await?;
    }
    server.stop().await?;
    Ok(samples.rows(bench))
}

impl Setting {
    async fn prepare(bench: &Bench, address: SocketAddr) -> Result<Self> {
        let mut api = Api::anonymous(address).await?;
        let user = api.register("collector").await?;
        let friends = register(&mut api, "friend", FRIENDS).await?;
        let made = in_parallel(CREATORS, 0..bench.scale.account_rooms, |number| {
            let (user, friends) = (user.clone(), friends.clone());
            async move { furnished_room(address, (&user, &friends), number).await }
        });
        Ok(Self { address, rooms: made.await?, user, friends })
    }

    async fn sample(
        &self,
        bench: &Bench,
        pid: u32,
        (into, round): (&mut Samples, usize),
    ) -> Result<()> {
        let (mut initial, mut page) = (Vec::new(), Vec::new());
        let mut since = String::new();
        for _ in 0..TRIES {
            let cpu = process::cpu_seconds(pid)?;
            let query = SyncQuery { timeline: Some(1), ..SyncQuery::default() };
            let seen = self.sync(&query).await?;
            into.initial_cpu_s += process::cpu_seconds(pid)? - cpu;
            ensure!(seen.rooms.len() == self.rooms.len(), "a first sync must show every room");
            initial.push(seen.took_ms);
            into.initial_bytes = seen.bytes;
            since = seen.next;

            let (took_ms, bytes) = self.first_page().await?;
            page.push(took_ms);
            into.page_bytes = bytes;
        }
        into.initial_ms.push(median(&initial));
        into.page_ms.push(median(&page));

        self.make_gaps(bench, pid, round).await?;
        let cpu = process::cpu_seconds(pid)?;
        let since = Some(since.as_str());
        let query = SyncQuery { since, timeline: Some(TIMELINE), ..SyncQuery::default() };
        let seen = self.sync(&query).await?;
        into.gappy_cpu_s += process::cpu_seconds(pid)? - cpu;
        let limited = |room: &&Value| room.pointer("/timeline/limited") == Some(&true.into());
        let gaps = seen.rooms.values().filter(limited).count();
        ensure!(
            (seen.rooms.len(), gaps) == (bench.scale.gaps, bench.scale.gaps),
            "the sync shows {} rooms and {gaps} gaps",
            seen.rooms.len(),
        );
        into.gappy_ms.push(seen.took_ms);
        into.gappy_bytes = seen.bytes;
        Ok(())
    }

    /// A sync over a new connection.
    async fn sync(&self, query: &SyncQuery<'_>) -> Result<Seen> {
        let mut api = Api::of(self.address, &self.user).await?;
        let started = clock::now();
        let (next, (took_ms, bytes, shown)) = api
            .sync(query, |body| {
                let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
                (took_ms, body.len(), serde_json::from_slice::<Shown>(body))
            })
            .await?;
        Ok(Seen { took_ms, bytes, next, rooms: shown?.rooms.join })
    }

    /// The first request of a sliding sync, over a new connection; also the bytes of the answer.
    async fn first_page(&self) -> Result<(f64, usize)> {
        let mut api = Api::of(self.address, &self.user).await?;
        let request = first_request();
        let started = clock::now();
        let (took_ms, answer) = api
            .answer("POST", SLIDING, &request, |body| {
                (started.elapsed().as_secs_f64() * 1_000.0, body.to_vec())
            })
            .await?;
        let shown: Value = serde_json::from_slice(&answer)?;
        let rooms =
            shown.get("rooms").and_then(Value::as_object).context("a page without rooms")?;
        ensure!(rooms.len() == PAGE.min(self.rooms.len()), "a page shows {} rooms", rooms.len());
        let count = shown.pointer("/lists/all_rooms/count").and_then(Value::as_u64);
        ensure!(count == Some(u64::try_from(self.rooms.len())?), "a list counts {count:?} rooms");
        Ok((took_ms, answer.len()))
    }

    /// More messages in some of the rooms than a timeline holds.
    async fn make_gaps(&self, bench: &Bench, pid: u32, round: usize) -> Result<()> {
        let step = (self.rooms.len() / bench.scale.gaps.max(1)).max(1);
        let with_gap = self.rooms.iter().skip(round).step_by(step).take(bench.scale.gaps);
        let friends = self.friends.iter().cycle();
        let lanes: Vec<Lane> = with_gap
            .zip(friends)
            .map(|(room, user)| Lane::of(user.clone(), room.clone()))
            .collect();
        let until = Until::EachSent(MESSAGES_IN_GAP);
        send(self.address, pid, &lanes, until, &format!("gap{round}")).await.map(drop)
    }
}

/// What a sync showed.
struct Seen {
    took_ms: f64,
    bytes: usize,
    next: String,
    rooms: std::collections::BTreeMap<String, Value>,
}

/// A room with a name, a topic, friends and some messages.
async fn furnished_room(
    address: SocketAddr,
    (user, friends): (&User, &[User]),
    number: usize,
) -> Result<String> {
    let mut api = Api::of(address, user).await?;
    let name = format!("Room number {number}");
    let topic = format!("What is said in room {number} stays in room {number}.");
    let body = json!({ "preset": "public_chat", "name": name, "topic": topic });
    let room = api.create_room_of(&body).await?;
    for friend in friends {
        api.speak_for(friend);
        api.join(&room).await?;
    }
    for message in 0..MESSAGES {
        let friend = friends.get(message % friends.len().max(1)).context("there are no friends")?;
        api.speak_for(friend);
        api.message(&room, &format!("before-{number}-{message}")).await?;
    }
    Ok(room)
}

/// What a client of the Rust SDK asks for first: the head of its room list.
fn first_request() -> Value {
    let required_state = [
        ["m.room.create", ""],
        ["m.room.name", ""],
        ["m.room.avatar", ""],
        ["m.room.topic", ""],
        ["m.room.canonical_alias", ""],
        ["m.room.encryption", ""],
        ["m.room.join_rules", ""],
        ["m.room.history_visibility", ""],
        ["m.room.power_levels", ""],
        ["m.room.tombstone", ""],
        ["m.room.member", "$LAZY"],
        ["m.room.member", "$ME"],
        ["m.space.parent", "*"],
        ["m.space.child", "*"],
    ];
    json!({
        "conn_id": "room-list",
        "lists": { "all_rooms": {
            "ranges": [[0, PAGE - 1]],
            "timeline_limit": 1,
            "required_state": required_state,
            "filters": { "not_room_types": ["m.space"] },
        } },
        "extensions": {
            "account_data": { "enabled": true },
            "receipts": { "enabled": true, "rooms": ["*"] },
            "typing": { "enabled": true },
            "to_device": { "enabled": true },
            "e2ee": { "enabled": true },
        },
    })
}

impl Samples {
    fn rows(self, bench: &Bench) -> Vec<Row> {
        let rounds = figure(u64::try_from(self.initial_ms.len()).unwrap_or_default());
        let per_sync = |cpu_s: f64, syncs: f64| rounded(cpu_s * 1_000.0 / syncs);
        let tries = rounds * figure(u64::try_from(TRIES).unwrap_or_default());
        let rooms = bench.scale.account_rooms;
        vec![
            Row::new("first sync of a large account", "ms", self.initial_ms)
                .with_bar(Bar::at_most(BAR_INITIAL_MS, "2 s"))
                .with("rooms", rooms)
                .with("bytes", self.initial_bytes)
                .with("server_cpu_ms", per_sync(self.initial_cpu_s, tries)),
            Row::new("first page of a sliding sync", "ms", self.page_ms)
                .with_bar(Bar::at_most(BAR_PAGE_MS, "100 ms"))
                .with("rooms", rooms)
                .with("bytes", self.page_bytes),
            Row::new("sync over gaps", "ms", self.gappy_ms)
                .with_bar(Bar::at_most(BAR_GAPPY_MS, "150 ms"))
                .with("rooms", rooms)
                .with("rooms_with_gap", bench.scale.gaps)
                .with("bytes", self.gappy_bytes)
                .with("server_cpu_ms", per_sync(self.gappy_cpu_s, rounds)),
        ]
    }
}
