//! Purging the history of a room, and what clients and other servers are told of it afterwards.

use serde_json::{Value, json};
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, TestServer, segment, texts,
};

const V1: &str = "/_matrix/federation/v1";

async fn purge(
    server: &TestServer,
    room: &str,
    older_than_ms: u64,
) -> vestibule_testkit::server::Reply {
    let path = format!("/rooms/{}/purge_history", segment(room));
    server.operator("POST", &path, &json!({ "older_than_ms": older_than_ms })).await
}

/// Asks for an event until it is gone: the purge is done by a job.
async fn gone(person: &Person, room: &str, event: &str) {
    let path = format!("event/{}", segment(event));
    let mut asked = 0;
    while person.of_room(room, &path).await.status == 200 {
        asked += 1;
        assert!(asked < 5_000, "the event is still there");
    }
}

async fn found(person: &Person, word: &str) -> usize {
    let body = json!({ "search_categories": { "room_events": { "search_term": word } } });
    let answer = person.http().post("/_matrix/client/v3/search", &body).await.ok();
    answer["search_categories"]["room_events"]["results"].as_array().unwrap().len()
}

async fn unread(person: &Person, room: &str) -> u64 {
    let sync = person.sync("").await;
    sync["rooms"]["join"][room]["unread_notifications"]["notification_count"].as_u64().unwrap()
}

#[tokio::test]
async fn purged_messages_are_shown_to_nobody_and_the_room_goes_on() {
    for slots in [1, 3] {
        let server = Blueprint::default().slots(slots).start().await;
        let alice = server.register("alice").await;
        let room = alice.create_room(&json!({ "preset": "public_chat", "name": "Hall" })).await;
        let bob = server.register("bob").await;
        bob.join(&room).await.ok();
        let before = bob.sync("").await;
        let since = before["next_batch"].as_str().unwrap();
        let first = alice.say(&room, "marzipan").await;
        let relating = json!({
            "msgtype": "m.text",
            "body": "nougat",
            "m.relates_to": { "rel_type": "m.thread", "event_id": first },
        });
        let reply = bob.send(&room, "m.room.message", &relating).await.ok();
        let reply = reply["event_id"].as_str().unwrap();
        let last = alice.say(&room, "trifle").await;
        assert_eq!(found(&bob, "marzipan").await, 1);
        assert_eq!(unread(&bob, &room).await, 2);

        purge(&server, &room, 0).await.ok();
        gone(&bob, &room, &last).await;
        for event in [first.as_str(), reply] {
            for (what, code) in [("event", (404, "M_NOT_FOUND")), ("context", (403, "M_FORBIDDEN"))]
            {
                let asked = bob.of_room(&room, &format!("{what}/{}", segment(event))).await;
                assert_eq!(asked.refusal(), code, "{what}");
            }
        }
        assert_eq!(bob.messages(&room).await, Vec::<String>::new());
        for sync in [bob.sync("").await, bob.sync(since).await] {
            let timeline = &sync["rooms"]["join"][&room]["timeline"]["events"];
            assert_eq!(texts(timeline), Vec::<String>::new());
        }
        assert_eq!(found(&bob, "marzipan").await + found(&bob, "nougat").await, 0);
        let path = format!("/_matrix/client/v1/rooms/{}/threads", segment(&room));
        assert_eq!(bob.http().get(&path).await.ok()["chunk"], json!([]));
        assert_eq!(unread(&bob, &room).await, 0);
        let name = bob.state(&room, "m.room.name", "").await.ok();
        assert_eq!(name["name"], "Hall");

        alice.say(&room, "and on").await;
        assert_eq!(bob.messages(&room).await, ["and on"]);
        let sync = bob.sync(since).await;
        assert_eq!(texts(&sync["rooms"]["join"][&room]["timeline"]["events"]), ["and on"]);
        let carol = server.register("carol").await;
        carol.join(&room).await.ok();
        assert_eq!(carol.messages(&room).await, ["and on"]);
    }
}

#[tokio::test]
async fn other_servers_follow_the_graph_through_what_was_purged() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let peer = PretendServer::on(&network, "p.example");
    let alice = server.register("alice").await;
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    peer.slip_in(&server, &room, "peter").await;
    let first = alice.say(&room, "marzipan").await;
    let second = alice.say(&room, "nougat").await;
    let state = format!("{V1}/state_ids/{}?event_id={}", segment(&room), segment(&second));
    let before = peer.get(&server, &state).await.ok();

    purge(&server, &room, 0).await.ok();
    gone(&alice, &room, &second).await;
    let answer = peer.get(&server, &format!("{V1}/event/{}", segment(&second))).await.ok();
    let event = &answer["pdus"][0];
    assert_eq!(event["content"], json!({}));
    assert_eq!(event["prev_events"], json!([first]));
    assert!(event["signatures"]["a.example"].is_object() && event["hashes"].is_object());
    assert_eq!(peer.get(&server, &state).await.ok(), before);
    let path = format!("{V1}/backfill/{}?v={}&limit=2", segment(&room), segment(&second));
    let pdus = peer.get(&server, &path).await.ok()["pdus"].clone();
    let contents: Vec<&Value> = pdus.as_array().unwrap().iter().map(|it| &it["content"]).collect();
    assert_eq!(contents, [&json!({}), &json!({})]);
}

#[tokio::test]
async fn refuses_to_purge_rooms_that_are_not_here_and_people_who_are_no_operators() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(&json!({})).await;
    assert_eq!(purge(&server, "!nowhere:localhost", 0).await.refusal(), (404, "M_NOT_FOUND"));
    assert_eq!(purge(&server, "hall", 0).await.refusal(), (400, "M_INVALID_PARAM"));
    let path = format!("/_vestibule/admin/v1/rooms/{}/purge_history", segment(&room));
    let asked = alice.http().post(&path, &json!({ "older_than_ms": 0 })).await;
    assert_eq!(asked.refusal(), (403, "M_FORBIDDEN"));
    // What is younger than asked for stays.
    alice.say(&room, "fresh").await;
    purge(&server, &room, 3_600_000).await.ok();
    assert_eq!(alice.messages(&room).await, ["fresh"]);
}
