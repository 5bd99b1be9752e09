//! Transactions of a server that signs whatever it likes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that called them"
)]

use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use vestibule_testkit::{
    Mutator,
    server::{Blueprint, Network, Person, PretendServer, RoomEnds, TestServer},
};

use crate::corpus::{Turns, objects, panics};

const SEND: &str = "/_matrix/federation/v1/send";

/// Statuses that say "your fault", or "not now".
const WELL_MEANT: [u16; 8] = [200, 400, 401, 403, 404, 413, 429, 503];

struct Scene {
    server: TestServer,
    peer: PretendServer,
    owner: Person,
    room_id: String,
}

impl Scene {
    async fn of_version(version: &str) -> Self {
        let network = Network::new();
        let server = Blueprint::default().on(&network, "a.example").start().await;
        let peer = PretendServer::on(&network, "p.example");
        let owner = server.register("owner").await;
        let options = json!({ "preset": "public_chat", "room_version": version });
        let room_id = owner.create_room(&options).await;
        peer.slip_in(&server, &room_id, "alice").await;
        Self { server, peer, owner, room_id }
    }

    /// An event of the corpus as the peer would send it next, bent and then signed: signatures and
    /// hashes are in order, so that it gets as far as it can.
    fn event(&self, ends: &RoomEnds, template: &Value, mutator: &Mutator) -> Value {
        let mut event = template.clone();
        event["room_id"] = json!(self.room_id);
        event["prev_events"] = json!(ends.prev_events);
        event["depth"] = json!(ends.depth);
        event["origin_server_ts"] = json!(ends.at);
        event["auth_events"] = json!(auth(ends, mutator));
        for kept in ["hashes", "signatures", "unsigned"] {
            event.as_object_mut().unwrap().remove(kept);
        }
        if mutator.below(8) > 0 {
            mutator.change(&mut event);
        }
        match self.peer.signed_event(&event, ends.version) {
            Some(mut signed) => {
                if mutator.below(8) == 0 {
                    mutator.change(&mut signed);
                }
                signed
            }
            None => event,
        }
    }

    async fn send(&self, number: u64, body: &Value) -> (u16, Value) {
        let path = format!("{SEND}/{number}");
        let reply = self.peer.put(&self.server, &path, body).await;
        (reply.status, reply.body)
    }
}

/// What would authorize a next event of the peer's, and now and then something that does not.
fn auth(ends: &RoomEnds, mutator: &Mutator) -> Vec<String> {
    let mut auth = Vec::new();
    for (place, event) in &ends.state {
        let needed = match place.0.as_str() {
            "m.room.create" => ends.version.to_string() != "12",
            "m.room.power_levels" | "m.room.join_rules" => true,
            "m.room.member" => place.1.starts_with("@alice:"),
            _ => mutator.below(20) == 0,
        };
        if needed {
            auth.push(event.to_string());
        }
    }
    auth
}

async fn bend(version: &str, parts: u64, part: u64) {
    let before = panics();
    let scene = Scene::of_version(version).await;
    let (events, edus) = (objects("pdus"), objects("edus"));
    let mut accepted = 0;
    for turn in Turns::of_this_run(40) {
        let seed = turn * parts + part;
        let mutator = Mutator::new(seed);
        let ends = RoomEnds::of(&scene.server, &scene.room_id).await;
        let pdus: Vec<Value> = (0..=mutator.below(3))
            .map(|_| scene.event(&ends, mutator.pick(&events).unwrap(), &mutator))
            .collect();
        let edus: Vec<Value> = (0..mutator.below(3))
            .map(|_| {
                let mut edu = mutator.pick(&edus).unwrap().clone();
                mutator.change(&mut edu);
                edu
            })
            .collect();
        let mut body = json!({
            "origin": scene.peer.name(),
            "origin_server_ts": ends.at,
            "pdus": pdus,
            "edus": edus,
        });
        if mutator.below(12) == 0 {
            mutator.change(&mut body);
        }
        // What cannot be signed cannot be sent: such requests are refused before they are read.
        if serde_json::from_value::<CanonicalJsonObject>(body.clone()).is_err() {
            continue;
        }
        let (status, answer) = scene.send(seed, &body).await;
        assert!(WELL_MEANT.contains(&status), "seed {seed}: {status} {answer} for {body}");
        let errors = answer["pdus"].as_object();
        accepted += errors.map_or(0, |it| it.values().filter(|it| **it == json!({})).count());
    }
    assert_eq!(panics(), before, "something panicked behind the scenes");
    let said = scene.owner.try_say(&scene.room_id, "still here").await;
    assert_eq!(said.status, 200, "the room's own people may still speak");
    assert!(accepted > 0, "nothing was ever accepted: this tests the door");
}

#[tokio::test]
async fn no_transaction_upsets_a_room_of_version_12() {
    Box::pin(bend("12", 2, 0)).await;
}

#[tokio::test]
async fn no_transaction_upsets_a_room_of_version_10() {
    Box::pin(bend("10", 2, 1)).await;
}

#[tokio::test]
async fn bytes_that_are_no_transaction_are_the_senders_fault() {
    let scene = Scene::of_version("12").await;
    let table = [
        (json!({}), 400),
        (json!({ "origin": "p.example", "origin_server_ts": 1, "pdus": {} }), 400),
        (json!({ "origin": "p.example", "origin_server_ts": 1, "pdus": vec![json!({}); 51] }), 400),
        (
            json!({ "origin": "p.example", "origin_server_ts": 1, "pdus": [], "edus": vec![json!({}); 101] }),
            400,
        ),
    ];
    for (number, (body, status)) in table.into_iter().enumerate() {
        let (seen, answer) = scene.send(number as u64, &body).await;
        assert_eq!(seen, status, "{body}: {answer}");
    }
}
