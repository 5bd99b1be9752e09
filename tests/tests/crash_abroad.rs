//! The real server and others: killed in the middle of what it does with them, and measured.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use vestibule_bench::{
    client::Client,
    matrix::{Api, User},
    peers::{Peer, Peers, Room, Seat},
    process::{peak_resident_bytes, resident_bytes},
    rows::{Bench, Name, Scale, join::offer},
    server::{Durability, Home, Launch, Server},
};
use vestibule_events::RoomVersion;
use vestibule_tests::{launch, say, segment};

/// Members of the room in whose import the server is killed.
const MEMBERS: u32 = 2_500;
/// Kills at most, each a little later than the one before.
const KILLS: u32 = 12;
/// Members of a large room.
const MANY: u32 = 10_000;
/// What bringing a large room here may take at once, in bytes: its events a few times over, and the
/// write buffers of the database.
const GROWTH_MAX: u64 = 192 * 1_048_576;
/// They load the machine, so they wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("abroad-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A server among others, with somebody on it.
struct Scene {
    launch: Launch,
    home: Home,
    server: Server,
    user: User,
    peers: Peers,
    peer: Arc<Peer>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(launch: Launch) -> Result<Self> {
        let (peers, folder) = (Peers::listen(1).await?, folder()?);
        let peer = Arc::clone(peers.first()?);
        let home = Home::among_others(folder.path(), Durability::Fsync, &peers)?;
        let (server, _) = Server::start(&launch, &home).await?;
        let user = Api::anonymous(server.address).await?.register("comer").await?;
        Ok(Self { launch, home, server, user, peers, peer, _folder: folder })
    }

    async fn api(&self) -> Result<Api> {
        Api::of(self.server.address, &self.user).await
    }

    /// Kills the server, looks at what it left, and starts it again.
    async fn kill(self) -> Result<Self> {
        self.server.kill();
        let (clean, said) = self.launch.check_database(&self.home)?;
        ensure!(clean, "{said}");
        let (server, _) = Server::start(&self.launch, &self.home).await?;
        Ok(Self { server, ..self })
    }

    /// How many people the user sees in a room; nothing when they are not in it.
    async fn sees(&self, room: &str) -> Result<Option<usize>> {
        let path = format!("/_matrix/client/v3/rooms/{}/joined_members", segment(room));
        let members = self.api().await?.get(&path).await?;
        Ok(members.and_then(|members| Some(members.get("joined")?.as_object()?.len())))
    }

    async fn texts(&self, room: &str) -> Result<String> {
        let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=20", segment(room));
        Ok(self.api().await?.get(&path).await?.context("no messages")?.to_string())
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_join_leaves_no_half_room() -> Result<()> {
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut scene = Scene::new(launch).await?;
    let room = Room::with_members(&scene.peer, RoomVersion::V12, (MEMBERS, 1))?;
    offer(&scene.peers, &room, &scene.user)?;
    let (id, via) = (room.id()?.to_string(), scene.peer.name().to_string());
    // The creator and the user beside the many.
    let whole = Some(usize::try_from(MEMBERS)? + 2);
    let mut interrupted = 0;
    for number in 1..=KILLS {
        let mut api = scene.api().await?;
        let patience = Duration::from_millis(150) * number;
        let done = tokio::time::timeout(patience, api.join_via(&id, &via)).await;
        drop(api);
        scene = scene.kill().await?;
        let seen = scene.sees(&id).await?;
        assert!(seen.is_none() || seen == whole, "half a room: {seen:?}");
        if done.is_ok() {
            assert_eq!(seen, whole, "what was answered is there");
            break;
        }
        interrupted += usize::from(seen.is_none());
    }
    scene.api().await?.join_via(&id, &via).await?;
    assert_eq!(scene.sees(&id).await?, whole);
    assert!(interrupted > 1, "no kill was in time");
    say(&format!("killed {interrupted} times before the room was there"))?;
    scene.server.stop().await?;
    let (clean, said) = scene.launch.check_database(&scene.home)?;
    ensure!(clean, "{said}");
    Ok(())
}

#[tokio::test]
async fn events_that_waited_when_the_server_was_killed_are_taken_up_by_the_next_one() -> Result<()>
{
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut scene = Scene::new(launch).await?;
    let room = scene.api().await?.create_room().await?;
    let address = scene.home.federation.context("an address")?;
    let mut client = Client::connect(address).await?;
    let mut seat = Seat::take(&mut client, &scene.peer, "eve", &room).await?;
    let (lost, waits) = (seat.message("lost on the way")?, seat.message("waits for it")?);
    scene.peers.vanish().await;
    seat.transaction_of("one", &[waits])?.send(&mut client).await?;
    assert!(!scene.texts(&room).await?.contains("waits for it"));

    scene = scene.kill().await?;
    scene.peers.come_back().await?;
    let missing = json!({ "events": [serde_json::from_slice::<Value>(lost.json())?] });
    let path = format!("/_matrix/federation/v1/get_missing_events/{}", segment(&room));
    scene.peers.answer(&path, serde_json::to_vec(&missing)?.into());
    // That it speaks again tells the server that it answers again.
    let mut client = Client::connect(address).await?;
    seat.transaction_of("two", &[])?.send(&mut client).await?;
    for _ in 0..400 {
        let texts = scene.texts(&room).await?;
        if texts.contains("waits for it") && texts.contains("lost on the way") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the event was never taken up: {}", scene.texts(&room).await?)
}

#[tokio::test]
async fn a_room_of_ten_thousand_is_brought_here_in_bounded_memory() -> Result<()> {
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let scene = Scene::new(launch).await?;
    let room = Room::with_members(&scene.peer, RoomVersion::V12, (MANY, 1))?;
    offer(&scene.peers, &room, &scene.user)?;
    let id = room.id()?.to_string();
    let before = resident_bytes(scene.server.pid())?;
    scene.api().await?.join_via(&id, scene.peer.name().as_str()).await?;
    let grown = peak_resident_bytes(scene.server.pid())?.saturating_sub(before);
    say(&format!("{} MB more at the peak", grown / 1_000_000))?;
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    assert_eq!(scene.sees(&id).await?, Some(usize::try_from(MANY)? + 2));
    Ok(())
}

/// Measures these rows with tiny sizes: that they run, and not how fast.
async fn rehearse(only: Vec<Name>, expected: usize) -> Result<()> {
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = folder()?;
    let bench = Bench {
        against: None,
        launch,
        folder: folder.path().to_owned(),
        scale: Scale::REHEARSAL,
        only,
    };
    let (rows, _) = bench.run(&mut |_| ()).await?;
    assert_eq!(rows.len(), expected, "{rows:?}");
    for row in rows {
        // A small file may well leave no trace in memory.
        assert!(row.value > 0.0 || row.unit == "MiB", "{row:?}");
        assert_eq!(row.samples.len(), Scale::REHEARSAL.rounds, "{row:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_rows_of_the_bench_with_other_servers_run_against_the_real_one() -> Result<()> {
    rehearse(vec![Name::Transactions, Name::Join, Name::DeadServers], 4).await
}

#[tokio::test]
async fn the_rows_of_the_bench_with_much_of_everything_run_against_the_real_one() -> Result<()> {
    let much = [Name::LargeAccount, Name::Messages, Name::Search, Name::LargeFile, Name::Claims];
    rehearse(much.to_vec(), 7).await
}
