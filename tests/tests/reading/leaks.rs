//! Nothing of a room reaches a server that is not in it, by whatever name it asks.

use serde_json::json;
use vestibule_testkit::server::RoomEnds;

use crate::support::{Scene, bodies, questions};

const SECRET: &str = "the secret of this room";

#[tokio::test]
async fn a_server_outside_a_room_gets_nothing_and_does_not_learn_whether_there_is_one() {
    let scene = Scene::new().await;
    let room = scene.alice.create_room(&json!({ "name": SECRET })).await;
    let event = scene.alice.say(&room, SECRET).await;
    let unknown = format!("!{}", "a".repeat(43));
    for (known, other) in questions(&room, &event).iter().zip(questions(&unknown, &event)) {
        let reply = scene.ask(known).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"), "{}", known.name);
        assert!(!reply.body.to_string().contains(SECRET), "{}", known.name);
        assert_eq!(reply, scene.ask(&other).await, "{}", known.name);
    }
    let reply = scene.event(&event).await;
    assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"));
    assert_eq!(reply, scene.event(&format!("${}", "a".repeat(43))).await);
}

#[tokio::test]
async fn an_event_of_another_room_is_not_shown_through_a_room_the_server_is_in() {
    let scene = Scene::new().await;
    let other = scene.alice.create_room(&json!({})).await;
    let event = scene.alice.say(&other, SECRET).await;
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    for question in questions(&room, &event) {
        let reply = scene.ask(&question).await;
        assert!(!reply.body.to_string().contains(SECRET), "{}", question.name);
        match question.name {
            "backfill" => assert_eq!(reply.ok()["pdus"], json!([])),
            "get_missing_events" => assert_eq!(reply.ok()["events"], json!([])),
            "timestamp_to_event" => assert_ne!(reply.ok()["event_id"], event),
            name => assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"), "{name}"),
        }
    }
}

#[tokio::test]
async fn a_parent_in_another_room_does_not_lead_there() {
    let scene = Scene::new().await;
    let other = scene.alice.create_room(&json!({})).await;
    let event = scene.alice.say(&other, SECRET).await;
    let room = scene.room().await;
    let bob = scene.away.slip_in(&scene.server, &room, "bob").await;
    let mut ends = RoomEnds::of(&scene.server, &room).await;
    ends.prev_events.push(event.as_str().try_into().expect("an event id"));
    let bridge = scene.away.event(&ends, &bob, ("m.room.message", None), &json!({ "body": "x" }));
    let received = scene.away.hand_over_gap(&scene.server, &bridge, &ends).await;
    assert_eq!(format!("{received:?}"), "Accepted");
    for question in questions(&room, bridge.event_id().as_str()) {
        let reply = scene.ask(&question).await.ok();
        assert!(!reply.to_string().contains(SECRET), "{}", question.name);
    }
}

#[tokio::test]
async fn a_server_kept_out_by_the_list_is_refused_everything_even_while_it_is_in_the_room() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    let event = scene.alice.say(&room, "hello").await;
    for question in questions(&room, &event) {
        assert_eq!(scene.ask(&question).await.status, 200, "{}", question.name);
    }
    let list = json!({ "allow": ["*"], "deny": ["*AWAY.test"] });
    scene.alice.set_state(&room, "m.room.server_acl", "", &list).await.ok();
    for question in questions(&room, &event) {
        let refused = scene.ask(&question).await;
        assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"), "{}", question.name);
    }
    assert_eq!(scene.event(&event).await.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_server_that_left_sees_what_it_saw_and_nothing_before_or_after() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    let before = scene.alice.say(&room, "before").await;
    let bob = scene.away.slip_in(&scene.server, &room, "bob").await;
    let during = scene.alice.say(&room, "during").await;
    let ends = RoomEnds::of(&scene.server, &room).await;
    let leaves = ("m.room.member", Some(bob.as_str()));
    let leave = scene.away.event(&ends, &bob, leaves, &json!({ "membership": "leave" }));
    scene.away.hand_over(&scene.server, &leave).await;
    let after = scene.alice.say(&room, "after").await;

    assert_eq!(bodies(&scene.event(&during).await.ok()["pdus"]), ["during"]);
    for hidden in [&before, &after] {
        assert_eq!(scene.event(hidden).await.refusal(), (404, "M_NOT_FOUND"));
        assert_eq!(scene.state_ids(&room, hidden).await.refusal(), (403, "M_FORBIDDEN"));
        assert_eq!(scene.event_auth(&room, hidden).await.refusal(), (403, "M_FORBIDDEN"));
    }
    scene.state_ids(&room, &during).await.ok();
    let history = scene.backfill(&room, &[&after], 100).await.ok();
    assert_eq!(bodies(&history["pdus"]), ["during"]);
    let missing = json!({ "earliest_events": [], "latest_events": [after], "limit": 100 });
    let missing = scene.missing(&room, &missing).await.ok();
    assert_eq!(bodies(&missing["events"]), ["during"]);
}

#[tokio::test]
async fn what_happened_before_its_join_is_only_a_skeleton_where_history_is_for_the_joined() {
    for (visibility, shown) in
        [("joined", json!(null)), ("invited", json!(null)), ("shared", json!("before"))]
    {
        let scene = Scene::new().await;
        let room = scene.room_visible_to(visibility).await;
        let before = scene.alice.say(&room, "before").await;
        scene.away.slip_in(&scene.server, &room, "bob").await;
        let during = scene.alice.say(&room, "during").await;
        let one = scene.event(&before).await.ok();
        assert_eq!(bodies(&one["pdus"]), std::slice::from_ref(&shown), "{visibility}");
        let history = scene.backfill(&room, &[&during], 100).await.ok();
        assert_eq!(bodies(&history["pdus"]), [json!("during"), shown.clone()], "{visibility}");
    }
}

#[tokio::test]
async fn a_world_readable_room_is_read_from_outside() {
    let scene = Scene::new().await;
    let room = scene.room_visible_to("world_readable").await;
    let event = scene.alice.say(&room, "for everybody").await;
    for question in questions(&room, &event) {
        assert_eq!(scene.ask(&question).await.status, 200, "{}", question.name);
    }
    assert_eq!(bodies(&scene.event(&event).await.ok()["pdus"]), ["for everybody"]);
    let list = json!({ "allow": ["home.test"] });
    scene.alice.set_state(&room, "m.room.server_acl", "", &list).await.ok();
    for question in questions(&room, &event) {
        assert_eq!(scene.ask(&question).await.status, 403, "{}", question.name);
    }
    assert_eq!(scene.event(&event).await.refusal(), (404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn a_redacted_event_has_no_content_for_other_servers_either() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    let event = scene.alice.say(&room, SECRET).await;
    let topic = json!({ "topic": SECRET });
    let topic = scene.alice.set_state(&room, "m.room.topic", "", &topic).await.ok();
    for target in [event.as_str(), topic["event_id"].as_str().expect("an id")] {
        scene.alice.http().put(&redaction(&room, target), &json!({})).await.ok();
    }
    let last = scene.alice.say(&room, "later").await;
    for question in questions(&room, &last) {
        let reply = scene.ask(&question).await;
        assert!(!reply.body.to_string().contains(SECRET), "{}", question.name);
    }
    let one = scene.event(&event).await.ok();
    assert_eq!(one["pdus"][0]["content"], json!({}));
}

fn redaction(room: &str, event: &str) -> String {
    use vestibule_testkit::server::segment;
    let (room, transaction) = (segment(room), segment(event));
    format!("/_matrix/client/v3/rooms/{room}/redact/{transaction}/{transaction}")
}

#[tokio::test]
async fn a_server_that_came_after_an_erased_user_wrote_gets_it_redacted() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    let erin = scene.server.register("erin").await;
    erin.join(&room).await;
    let early = erin.say(&room, SECRET).await;
    let other = scene.alice.say(&room, "hello").await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    let late = erin.say(&room, SECRET).await;
    let pdus = scene.backfill(&room, &[&late], 20).await.ok();
    assert_eq!(bodies(&pdus["pdus"]).iter().filter(|body| **body == SECRET).count(), 2);
    let end = json!({ "erase": true });
    scene.server.operator("POST", "/users/erin/deactivate", &end).await.ok();
    let content = async |event: &str| {
        let reply = scene.event(event).await.ok();
        reply["pdus"][0]["content"]["body"].clone()
    };
    assert_eq!(content(&early).await, json!(null), "nobody of theirs was there");
    assert_eq!(content(&late).await, json!(SECRET), "they have it already");
    assert_eq!(content(&other).await, json!("hello"));
    let pdus = scene.backfill(&room, &[&late], 20).await.ok();
    assert_eq!(bodies(&pdus["pdus"]).iter().filter(|body| **body == SECRET).count(), 1);
}
