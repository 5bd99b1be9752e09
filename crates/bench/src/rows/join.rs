//! Joining a large room of another server, held against the time one thread takes to check the
//! signatures of everything that comes with it.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use vestibule_events::{Pdu, PublicKeys, RoomVersion, verify};

use super::Bench;
use vestibule_types::segment;

use crate::{
    clock,
    matrix::{Api, User},
    peers::{Peer, Peers, Room},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

/// A join may take so many times as long as checking the signatures with one thread.
const TIMES: f64 = 3.0;

/// One join of a new room in each round.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let peers = Peers::listen(1).await?;
    let peer = Arc::clone(peers.first()?);
    let home = Home::among_others(&bench.folder, Durability::Fsync, &peers)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let user = api.register("comer").await?;
    api.speak_for(&user);
    // Keys and connections are warm from here on.
    let small = Room::with_members(&peer, RoomVersion::V12, (10, 1))?;
    offer(&peers, &small, &user)?;
    api.join_via(small.id()?.as_str(), peer.name().as_str()).await?;

    let (mut took, mut checks, mut grown_mb) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = 0.0;
    for round in 0..bench.scale.rounds {
        let begun_at = 1_000_000 * (u64::try_from(round)? + 1);
        let room = Room::with_members(&peer, RoomVersion::V12, (bench.scale.members, begun_at))?;
        offer(&peers, &room, &user)?;
        checks.push(check_all(&peer, &room)?);
        let (memory, busy) =
            (process::resident_bytes(server.pid())?, process::cpu_seconds(server.pid())?);
        let started = clock::now();
        api.join_via(room.id()?.as_str(), peer.name().as_str()).await?;
        took.push(started.elapsed().as_secs_f64());
        cpu += process::cpu_seconds(server.pid())? - busy;
        let more = process::resident_bytes(server.pid())?.saturating_sub(memory);
        grown_mb.push(super::figure(more) / 1e6);
    }
    server.stop().await?;

    let checked = median(&checks);
    let rule = "3 × checking its signatures with one thread";
    let row = Row::new("join of a large room elsewhere", "s", took)
        .with_bar(Bar::at_most(TIMES * checked, rule))
        .with("members", bench.scale.members)
        .with("checks_s", rounded(checked))
        .with("server_cpu_s", rounded(cpu))
        .with("grown_mb", rounded(median(&grown_mb)));
    Ok(vec![row])
}

/// Lets the peer answer both halves of a handshake about this room.
pub fn offer(peers: &Peers, room: &Room, user: &User) -> Result<()> {
    let id = room.id()?;
    let next = room.next_join()?;
    let mut event = json!({
        "type": "m.room.member",
        "room_id": id,
        "sender": user.id,
        "state_key": user.id,
        "content": { "membership": "join" },
        "origin_server_ts": 1,
        "origin": peers.first()?.name(),
    });
    for (key, value) in next.as_object().context("an object")? {
        event.as_object_mut().context("an object")?.insert(key.clone(), value.clone());
    }
    let template = json!({ "room_version": room.version, "event": event });
    let v1 = "/_matrix/federation/v1";
    let path = format!("{v1}/make_join/{}/", segment(id.as_str()));
    peers.answer(&path, serde_json::to_vec(&template)?.into());
    let path = format!("/_matrix/federation/v2/send_join/{}/", segment(id.as_str()));
    peers.answer(&path, let_in(room)?);
    Ok(())
}

/// The room as a server in it hands it over.
fn let_in(room: &Room) -> Result<Bytes> {
    let json = |pdu: &Pdu| serde_json::from_slice::<Value>(pdu.json());
    let state = room.state.values().filter_map(|id| room.events.get(id));
    let state = state.map(|(_, pdu)| json(pdu)).collect::<Result<Vec<_>, _>>()?;
    // Nobody's membership authorizes another one's: the chain is how the room begins.
    let chain = room.events.values().filter(|(number, _)| *number < 4);
    let chain = chain.map(|(_, pdu)| json(pdu)).collect::<Result<Vec<_>, _>>()?;
    let answer = json!({ "state": state, "auth_chain": chain, "members_omitted": false });
    Ok(serde_json::to_vec(&answer)?.into())
}

/// Checks every event's hash and signature; how many seconds that took.
fn check_all(peer: &Peer, room: &Room) -> Result<f64> {
    let keys =
        serde_json::from_value(json!({ peer.key().key_id().as_str(): peer.key().public_key() }))?;
    let keys = PublicKeys::from(BTreeMap::from([(peer.name().to_string(), keys)]));
    let events: Vec<Pdu> = room.events.values().map(|(_, pdu)| (**pdu).clone()).collect();
    let started = clock::now();
    for event in events {
        verify(event, &keys)?;
    }
    Ok(started.elapsed().as_secs_f64())
}
