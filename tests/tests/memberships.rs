//! Memberships across servers: joining, inviting, knocking and leaving between servers of our own.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Network, Person, TestServer, segment};

/// Two servers that know each other.
async fn two() -> (Network, TestServer, TestServer) {
    let network = Network::new();
    let a = Blueprint::default().on(&network, "a.example").start().await;
    let b = Blueprint::default().on(&network, "b.example").start().await;
    (network, a, b)
}

async fn join_via(person: &Person, room: &str, via: &str) -> vestibule_testkit::server::Reply {
    let path = format!("/_matrix/client/v3/join/{}?via={via}", segment(room));
    person.http().post(&path, &json!({})).await
}

async fn public_room(person: &Person, version: &str) -> String {
    let options = json!({
        "preset": "public_chat",
        "room_version": version,
        "name": "Tea",
        "room_alias_name": format!("tea{version}"),
    });
    person.create_room(&options).await
}

/// The users with a membership in a room, as somebody in it sees them.
async fn members(person: &Person, room: &str, membership: &str) -> Vec<String> {
    let path = format!("members?membership={membership}");
    let members = person.of_room(room, &path).await.ok();
    let events = members["chunk"].as_array().cloned().unwrap_or_default();
    let mut users: Vec<String> =
        events.iter().filter_map(|event| event["state_key"].as_str().map(str::to_owned)).collect();
    users.sort();
    users
}

async fn name_of(person: &Person, room: &str) -> Value {
    person.state(room, "m.room.name", "").await.ok()["name"].clone()
}

#[tokio::test]
async fn somebody_of_another_server_joins_a_room_of_every_version() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    for version in ["3", "6", "7", "10", "11", "12"] {
        let room = public_room(&alice, version).await;
        join_via(&bob, &room, "a.example").await.ok();
        assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        assert_eq!(members(&bob, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        assert_eq!(name_of(&bob, &room).await, "Tea");
    }
}

#[tokio::test]
async fn an_alias_of_another_server_leads_into_its_room() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    let joined = bob.join("#tea12:a.example").await.ok();
    assert_eq!(joined["room_id"], room);
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}
