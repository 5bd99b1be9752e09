//! Every endpoint of the server-server API, asked for nonsense by a server that signs what it likes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that called them")]

use std::{fmt::Write as _, fs, path::Path};

use http::Method;
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use vestibule_testkit::{
    Mutator,
    server::{Blueprint, Network, PretendServer, RoomEnds, TestServer, segment},
};

use crate::corpus::{Turns, objects, panics};

/// Queries that mean something to some endpoint.
const QUERIES: [&str; 14] = [
    "limit",
    "v",
    "event_id",
    "ver",
    "since",
    "server_name",
    "room_alias",
    "user_id",
    "field",
    "ts",
    "dir",
    "suggested_only",
    "minimum_valid_until_ts",
    "include_all_networks",
];

/// Method and path of every endpoint there is.
fn endpoints() -> Vec<(Method, String)> {
    let golden = "../crates/federation-api/tests/golden/endpoints.snap";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    let text = fs::read_to_string(golden).unwrap();
    let parsed = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let method: Method = words.next()?.parse().ok()?;
        Some((method, words.find(|word| word.starts_with('/'))?.to_owned()))
    });
    let endpoints: Vec<_> = parsed.filter(|(method, _)| method != Method::OPTIONS).collect();
    assert!(endpoints.len() > 10, "{endpoints:?}");
    endpoints
}

/// Things that could stand in a path or a query: some of them are really there.
async fn things(server: &TestServer, room_id: &str) -> Vec<String> {
    let ends = RoomEnds::of(server, room_id).await;
    let mut things: Vec<String> = ends.prev_events.iter().map(ToString::to_string).collect();
    things.extend(ends.state.values().map(ToString::to_string));
    let others = [
        room_id,
        "!nowhere:a.example",
        "@owner:a.example",
        "@alice:p.example",
        "@nobody:a.example",
        "#none:a.example",
        "a.example",
        "p.example",
        "9007199254740992",
        "-1",
        "0",
        "1",
        "10",
        "true",
        "f",
        "b",
        "displayname",
        "11",
        "12",
        "org.example.none",
        "ed25519:p",
        "",
    ];
    things.extend(others.map(ToOwned::to_owned));
    things
}

fn thing(mutator: &Mutator, things: &[String]) -> String {
    let mut thing = json!(mutator.pick(things).unwrap());
    if mutator.below(4) == 0 {
        mutator.change(&mut thing);
    }
    thing.as_str().map_or_else(|| thing.to_string(), ToOwned::to_owned)
}

fn target(mutator: &Mutator, path: &str, things: &[String]) -> String {
    let filled = path.split('/').map(|part| {
        if part.starts_with('{') { segment(&thing(mutator, things)) } else { part.to_owned() }
    });
    let mut target = filled.collect::<Vec<_>>().join("/");
    for number in 0..mutator.below(5) {
        let key = mutator.pick(&QUERIES).unwrap();
        let sign = if number == 0 { '?' } else { '&' };
        write!(target, "{sign}{key}={}", segment(&thing(mutator, things))).unwrap();
    }
    target
}

/// A body that some endpoint reads, bent.
fn body(mutator: &Mutator, things: &[String], events: &[Value]) -> Value {
    let one = || json!(thing(mutator, things));
    let event = mutator.pick(events).unwrap().clone();
    let mut body = match mutator.below(8) {
        0 => event,
        1 => json!({ "room_version": one(), "event": event, "invite_room_state": [event] }),
        2 => json!({ "earliest_events": [one()], "latest_events": [one(), one()], "limit": 10 }),
        3 => json!({ "device_keys": { "@owner:a.example": [] }, "one_time_keys":
            { "@owner:a.example": { "D": "signed_curve25519" } } }),
        4 => {
            json!({ "server_keys": { "a.example": { "ed25519:p": { "minimum_valid_until_ts": 1 } } } })
        }
        5 => json!({ "limit": 5, "since": one(), "filter": { "generic_search_term": one() } }),
        6 => json!({ "origin": "p.example", "origin_server_ts": 1, "pdus": [event], "edus": [] }),
        _ => json!({}),
    };
    if mutator.below(3) > 0 {
        mutator.change(&mut body);
    }
    body
}

#[tokio::test]
async fn no_request_upsets_an_endpoint() {
    let seen = panics();
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let peer = PretendServer::on(&network, "p.example");
    let owner = server.register("owner").await;
    let room_id = owner.create_room(&json!({ "preset": "public_chat" })).await;
    peer.slip_in(&server, &room_id, "alice").await;
    owner.say(&room_id, "something to be read").await;
    let (endpoints, events) = (endpoints(), objects("pdus"));
    let things = things(&server, &room_id).await;
    let (mut well, mut asked) = (0, 0);
    for seed in Turns::of_this_run(200) {
        let mutator = Mutator::new(seed);
        let (method, path) = mutator.pick(&endpoints).unwrap();
        let target = target(&mutator, path, &things);
        let body = (method != Method::GET).then(|| body(&mutator, &things, &events));
        let signable =
            |body: &Value| serde_json::from_value::<CanonicalJsonObject>(body.clone()).is_ok();
        if target.parse::<http::Uri>().is_err() || !body.as_ref().is_none_or(signable) {
            continue;
        }
        let reply = peer.ask(&server, method.clone(), &target, body.as_ref()).await;
        let named = reply.body["errcode"].is_string();
        let right = reply.status < 300 || (reply.status < 500 && named) || reply.status == 502;
        assert!(right, "seed {seed}: {method} {target} {body:?} is answered {reply:?}");
        well += u32::from(reply.status < 300);
        asked += 1;
    }
    assert_eq!(panics(), seen, "something panicked behind the scenes");
    assert!(well * 20 > asked, "only {well} of {asked} were answered: this tests the door");
}
