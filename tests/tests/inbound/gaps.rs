//! Events whose parents are missing.

use serde_json::json;
use vestibule_testkit::server::Blueprint;

use crate::support::{error_of, scene, scene_of};

#[tokio::test]
async fn what_lies_between_is_fetched_and_shown_in_its_order() {
    for version in ["6", "12"] {
        let mut scene = scene_of(Blueprint::default().slots(3), version).await;
        let pdus = scene.messages(scene.ends().await, &["one", "two", "three", "four"]).await;
        let answers = scene.send(&pdus[3..]).await;
        assert_eq!(error_of(&answers, &pdus[3]), None);
        assert_eq!(scene.read_soon("four").await, ["one", "two", "three", "four"]);
        assert_eq!(scene.asked("state_ids").await, 0, "no state had to be fetched");
        scene.still_works("after a gap").await;
    }
}

#[tokio::test]
async fn a_long_gap_is_fetched_in_pages() {
    let mut scene = scene().await;
    let texts: Vec<String> = (0..120).map(|number| format!("{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pdus = scene.messages(scene.ends().await, &texts).await;
    scene.send(&pdus[119..]).await;
    assert_eq!(scene.read_soon("119").await, texts);
    assert!(scene.asked("missing").await <= 4, "three pages and no more");
}

#[tokio::test]
async fn where_nobody_has_what_lies_between_the_state_is_fetched() {
    for version in ["6", "12"] {
        let mut scene = scene_of(Blueprint::default(), version).await;
        scene.away.graph.lock().await.mute.insert("missing");
        let ends = scene.ends().await;
        let name = json!({ "name": "Named in the gap" });
        let named = scene.event(&ends, ("m.room.name", Some("")), &name).await;
        let ends = ends.after(&named);
        let pdus = scene.messages(ends, &["lost", "found"]).await;
        scene.send(&pdus[1..]).await;
        assert_eq!(scene.read_soon("found").await, ["found"]);
        let state = scene.alice.state(&scene.room, "m.room.name", "").await.ok();
        assert_eq!(state, name, "the state came with it");
        // What was lost arrives after all.
        let answers = scene.send(&[named.clone(), pdus[0].clone()]).await;
        assert_eq!(error_of(&answers, &named), None);
        assert_eq!(scene.read().await, ["found", "lost"]);
        scene.still_works("after a state was fetched").await;
        assert_eq!(scene.ends().await.prev_events.len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_event_tells_the_state_after_its_parents() {
    let mut scene = scene().await;
    scene.away.graph.lock().await.mute.insert("missing");
    let ends = scene.ends().await;
    let name = json!({ "name": "Named by the parent" });
    let named = scene.event(&ends, ("m.room.name", Some("")), &name).await;
    let ends = ends.after(&named);
    let content = json!({ "msgtype": "m.text", "body": "not kept there" });
    let child = scene.away.server.event(&ends, &scene.eve, ("m.room.message", None), &content);
    scene.send(std::slice::from_ref(&child)).await;
    scene.read_soon("not kept there").await;
    assert_eq!(scene.alice.state(&scene.room, "m.room.name", "").await.ok(), name);
}

#[tokio::test]
async fn a_large_state_is_fetched_whole() {
    let mut scene = scene().await;
    scene.away.graph.lock().await.mute.insert("missing");
    let mut ends = scene.ends().await;
    for number in 0..80 {
        let key = format!("{number}");
        let pdu = scene.event(&ends, ("org.test", Some(&key)), &json!({ "n": number })).await;
        ends = ends.after(&pdu);
    }
    let pdus = scene.messages(ends, &["lost", "found"]).await;
    scene.send(&pdus[1..]).await;
    scene.read_soon("found").await;
    assert_eq!(scene.asked("state").await, 1);
    assert_eq!(scene.asked("event").await, 0);
    let state = scene.alice.state(&scene.room, "org.test", "79").await.ok();
    assert_eq!(state, json!({ "n": 79 }));
}

#[tokio::test]
async fn what_authorizes_an_event_is_fetched() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    // A membership that home never saw authorizes the message; it lies on a branch of its own.
    let member = ("m.room.member", Some(scene.eve.as_str()));
    let renamed = json!({ "membership": "join", "displayname": "Eve" });
    let renamed = scene.event(&ends, member, &renamed).await;
    let mut authorized = ends.clone();
    authorized.state.extend(renamed.state_place().map(|it| (it, renamed.event_id().clone())));
    let pdu = scene.message(&authorized, "by another right").await;
    scene.send(std::slice::from_ref(&pdu)).await;
    scene.read_soon("by another right").await;
    assert!(scene.asked("event").await >= 1);
    scene.still_works("after a fetched authorization").await;
}

#[tokio::test]
async fn what_came_to_nothing_is_taken_once_what_it_lacked_is_here() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let member = ("m.room.member", Some(scene.eve.as_str()));
    let renamed = json!({ "membership": "join", "displayname": "Eve" });
    let renamed = scene.event(&ends, member, &renamed).await;
    let mut authorized = ends.clone();
    authorized.state.extend(renamed.state_place().map(|it| (it, renamed.event_id().clone())));
    let pdu = scene.message(&authorized, "by another right").await;
    // The server elsewhere has not got its own event together yet.
    let silent = ["event", "event_auth", "state", "state_ids", "missing"];
    scene.away.graph.lock().await.mute.extend(silent);
    let mut answer = None;
    for _ in 0..200 {
        let answers = scene.send(std::slice::from_ref(&pdu)).await;
        answer = error_of(&answers, &pdu).map(str::to_owned);
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let reason = answer.expect("it comes to nothing");
    assert!(reason.contains("cannot be had"), "{reason}");
    let answers = scene.send(std::slice::from_ref(&renamed)).await;
    assert_eq!(error_of(&answers, &renamed), None);
    let answers = scene.send(std::slice::from_ref(&pdu)).await;
    assert_eq!(error_of(&answers, &pdu), None);
    assert_eq!(scene.read().await, ["by another right"]);
}
