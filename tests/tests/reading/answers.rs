//! What a server in a room is answered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vestibule_testkit::server::segment;

use crate::support::{Scene, bodies};

/// A room with somebody from away in it, and five messages.
async fn talk(scene: &Scene) -> (String, Vec<String>) {
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    let mut events = Vec::new();
    for text in ["one", "two", "three", "four", "five"] {
        events.push(scene.alice.say(&room, text).await);
    }
    (room, events)
}

fn ids(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("ids").iter().map(|id| id.as_str().expect("an id")).collect()
}

#[tokio::test]
async fn backfill_brings_the_events_themselves_and_what_came_before_the_newest_first() {
    let scene = Scene::new().await;
    let (room, events) = talk(&scene).await;
    let answer = scene.backfill(&room, &[&events[4]], 3).await.ok();
    assert_eq!(bodies(&answer["pdus"]), ["five", "four", "three"]);
    assert_eq!(answer["origin"], "home.test");
    assert!(answer["origin_server_ts"].is_u64());
    let answer = scene.backfill(&room, &[&events[1], &events[3]], 100).await.ok();
    assert_eq!(bodies(&answer["pdus"]), ["four", "three", "two", "one"]);
    assert_eq!(answer["pdus"].as_array().unwrap().last().unwrap()["type"], "m.room.create");
    assert_eq!(scene.backfill(&room, &[&events[4]], 0).await.ok()["pdus"], json!([]));
    let answer = scene.get(&format!("backfill/{}?v=x", segment(&room))).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[tokio::test]
async fn missing_events_lie_between_the_two_ends_the_oldest_first() {
    let scene = Scene::new().await;
    let (room, events) = talk(&scene).await;
    let ask = |latest: &str, earliest: &str, more: Value| {
        let mut body = json!({ "latest_events": [latest], "earliest_events": [earliest] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let question = ask(&events[4], &events[0], json!({}));
    let answer = scene.missing(&room, &question).await.ok();
    assert_eq!(bodies(&answer["events"]), ["two", "three", "four"]);
    let question = ask(&events[4], &events[0], json!({ "limit": 2 }));
    let answer = scene.missing(&room, &question).await.ok();
    assert_eq!(bodies(&answer["events"]), ["three", "four"]);
    let third = scene.event(&events[2]).await.ok();
    let question = ask(&events[4], &events[0], json!({ "min_depth": third["pdus"][0]["depth"] }));
    let answer = scene.missing(&room, &question).await.ok();
    assert_eq!(bodies(&answer["events"]), ["three", "four"]);
}

#[tokio::test]
async fn the_state_before_an_event_comes_with_what_authorizes_it_each_after_its_own() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    // More than are read at once.
    for number in 0..150 {
        let key = number.to_string();
        scene.alice.set_state(&room, "org.example.seat", &key, &json!({ "n": number })).await.ok();
    }
    let name = json!({ "name": "after" });
    let event = scene.alice.set_state(&room, "m.room.name", "", &name).await.ok();
    let event = event["event_id"].as_str().unwrap();
    let path = format!("state/{}?event_id={}", segment(&room), segment(event));
    let whole = scene.get(&path).await.ok();
    let short = scene.state_ids(&room, event).await.ok();

    let state = whole["pdus"].as_array().unwrap();
    let seats = state.iter().filter(|pdu| pdu["type"] == "org.example.seat").count();
    assert_eq!(seats, 150);
    assert!(state.iter().all(|pdu| pdu["type"] != "m.room.name"), "the state is that before");
    assert_eq!(state.len(), ids(&short["pdu_ids"]).len());
    let chain = ids(&short["auth_chain_ids"]);
    assert_eq!(whole["auth_chain"].as_array().unwrap().len(), chain.len());

    // Ids as the other server has them: those of the chain come in its order.
    let in_order = short["auth_chain_ids"].as_array().unwrap().iter();
    let in_order = in_order.zip(whole["auth_chain"].as_array().unwrap());
    let mut before: BTreeMap<&str, &Value> = BTreeMap::new();
    for (id, pdu) in in_order {
        for needed in ids(&pdu["auth_events"]) {
            assert!(before.contains_key(needed), "{needed} comes after {id}");
        }
        before.insert(id.as_str().unwrap(), pdu);
    }
    for pdu in state {
        for needed in ids(&pdu["auth_events"]) {
            assert!(before.contains_key(needed), "{needed} is missing");
        }
    }
}

#[tokio::test]
async fn the_auth_chain_of_an_event_is_everything_below_it() {
    let scene = Scene::new().await;
    let (room, events) = talk(&scene).await;
    let event = scene.event(&events[0]).await.ok();
    let chain = scene.event_auth(&room, &events[0]).await.ok();
    let chain = chain["auth_chain"].as_array().unwrap();
    let kinds: Vec<&str> = chain.iter().map(|pdu| pdu["type"].as_str().unwrap()).collect();
    let named = event["pdus"][0]["auth_events"].as_array().unwrap().len();
    assert!(chain.len() >= named, "{kinds:?}");
    assert!(kinds.contains(&"m.room.power_levels") && kinds.contains(&"m.room.member"));
    assert!(!kinds.contains(&"m.room.message"));
}

#[tokio::test]
async fn the_event_nearest_to_a_moment_is_found_in_both_directions() {
    let scene = Scene::new().await;
    let (room, events) = talk(&scene).await;
    let at = |event: &Value| event["pdus"][0]["origin_server_ts"].as_u64().unwrap();
    let last = at(&scene.event(&events[4]).await.ok());
    let ask =
        |ts: u64, dir: &str| format!("timestamp_to_event/{}?ts={ts}&dir={dir}", segment(&room));
    let found = scene.get(&ask(last + 1_000, "b")).await.ok();
    assert_eq!(found["origin_server_ts"], last);
    let refused = scene.get(&ask(last + 1_000, "f")).await;
    assert_eq!(refused.refusal(), (404, "M_NOT_FOUND"));
    scene.get(&ask(0, "f")).await.ok();
    assert_eq!(scene.get(&ask(0, "x")).await.status, 400);
}

#[tokio::test]
async fn questions_without_what_they_need_are_refused_as_bad() {
    let scene = Scene::new().await;
    let (room, _) = talk(&scene).await;
    for kind in ["state", "state_ids"] {
        let refused = scene.get(&format!("{kind}/{}", segment(&room))).await;
        assert_eq!(refused.refusal(), (400, "M_MISSING_PARAM"), "{kind}");
    }
    let refused = scene.missing(&room, &json!({ "latest_events": [] })).await;
    assert_eq!(refused.refusal(), (400, "M_BAD_JSON"));
}
