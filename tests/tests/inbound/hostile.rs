//! What cannot be, and what must not cost more than itself.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_events::Pdu;
use vestibule_testkit::server::RoomEnds;

use crate::support::{Scene, error_of, json_of, scene};

/// An event with the hash and signature of its server, whatever else is wrong with it.
fn signed(scene: &Scene, mut event: Value) -> Value {
    let mut object: ruma::CanonicalJsonObject = match serde_json::from_value(event.clone()) {
        Ok(object) => object,
        // What has no canonical form cannot be signed.
        Err(_) => return event,
    };
    let rules = ruma::RoomVersionId::V11.rules().expect("known");
    let key = scene.away.server.key();
    let name = scene.away.server.name().as_str();
    if ruma::signatures::hash_and_sign_event(name, key, &mut object, &rules.redaction).is_ok() {
        event = serde_json::to_value(object).expect("JSON");
    }
    event
}

#[tokio::test]
async fn a_field_of_the_wrong_type_costs_its_event_and_nothing_else() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let fields = [
        "type",
        "sender",
        "room_id",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "origin_server_ts",
        "auth_events",
        "prev_events",
        "unsigned",
        "redacts",
        "event_id",
    ];
    let values = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(""),
        json!("x"),
        json!([]),
        json!([null]),
        json!([["$a", {}]]),
        json!({}),
        json!({ "": { "": "" } }),
        json!("@:\u{0}"),
        json!(9_007_199_254_740_991_i64),
    ];
    for field in fields {
        let mut pdus = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let text = format!("{field} {number}");
            let content = json!({ "msgtype": "m.text", "body": text });
            let draft =
                scene.away.server.event(&ends, &scene.eve, ("m.room.message", None), &content);
            let mut plain = json_of(&draft);
            plain[field] = value.clone();
            // Once with everything else in order, once as if it had come so.
            pdus.push(signed(&scene, plain.clone()));
            pdus.push(plain);
        }
        let reply = scene.send_json(pdus).await;
        assert_eq!(reply.status, 200, "{field}: {}", reply.body);
    }
    scene.still_works("after fields of wrong types").await;
}

#[tokio::test]
async fn what_is_no_event_at_all_is_passed_over() {
    let mut scene = scene().await;
    let room = json!({ "room_id": scene.room.clone() });
    let no_events = vec![
        json!({}),
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        room,
        json!({ "room_id": 1 }),
        json!({ "room_id": "!" }),
    ];
    let reply = scene.send_json(no_events).await;
    assert_eq!(reply.ok(), json!({ "pdus": {} }));
    scene.still_works("after no events").await;
}

#[tokio::test]
async fn too_large_too_deep_too_many() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let usual = json_of(&scene.message(&ends, "usual").await);
    let with = |field: &str, value: Value| {
        let mut event = usual.clone();
        event[field] = value;
        event
    };
    let mut deep = json!(1);
    for _ in 0..90 {
        deep = json!({ "a": deep });
    }
    let forged: Vec<String> = (0..10_000).map(|number| format!("${number:043}")).collect();
    let events = vec![
        with("content", json!({ "body": "x".repeat(70_000) })),
        with("content", deep),
        with("prev_events", json!(forged)),
        with("auth_events", json!(forged)),
        with("type", json!("x".repeat(300))),
        with("state_key", json!("x".repeat(300))),
    ];
    for event in events {
        let event = signed(&scene, event);
        let reply = scene.send_json(vec![event]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(scene.asked("missing").await + scene.asked("event").await, 0, "nothing was fetched");
    assert!(scene.read().await.is_empty());
    scene.still_works("after too much of everything").await;
}

#[tokio::test]
async fn nesting_without_end_is_refused() {
    let scene = scene().await;
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let body = format!(
        r#"{{"origin":"away.example","origin_server_ts":1,"pdus":[{{"room_id":"{}","content":{nested}}}]}}"#,
        scene.room
    );
    let header = scene.away.server.authorization(
        scene.home.running().server_name(),
        (&http::Method::PUT, "/_matrix/federation/v1/send/deep"),
        None,
    );
    let mut request = http::Request::put(format!(
        "http://{}/_matrix/federation/v1/send/deep",
        scene.home.address()
    ));
    request = request.header("authorization", header);
    let request = request.body(axum::body::Body::from(body)).unwrap();
    let router = scene.home.running().federation_router();
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert!(response.status().is_client_error(), "{}", response.status());
    let mut scene = scene;
    scene.still_works("after endless nesting").await;
}

#[tokio::test]
async fn the_greatest_depth_does_not_stop_a_room() {
    let mut scene = scene().await;
    let mut ends = scene.ends().await;
    ends.depth = (1 << 53) - 1;
    let deepest = scene.message(&ends, "as deep as can be").await;
    let answers = scene.send(std::slice::from_ref(&deepest)).await;
    assert_eq!(error_of(&answers, &deepest), None);
    scene.alice.say(&scene.room, "said here").await;
    let mut ends = scene.ends().await;
    ends.depth = ends.depth.min((1 << 53) - 1);
    let next = scene.message(&ends, "and on").await;
    let answers = scene.send(std::slice::from_ref(&next)).await;
    assert_eq!(error_of(&answers, &next), None, "{answers}");
    assert_eq!(scene.read().await, ["as deep as can be", "said here", "and on"]);
}

/// Ends with parents that nobody has.
fn lost_in(mut ends: RoomEnds, parents: usize) -> RoomEnds {
    let lost = |number: usize| format!("$lost{number:039}").try_into().expect("an event id");
    ends.prev_events = (0..parents).map(lost).collect();
    ends
}

#[tokio::test]
async fn parents_that_nobody_has_cost_a_bounded_number_of_requests() {
    let mut scene = scene().await;
    let ends = lost_in(scene.ends().await, 20);
    let content = json!({ "msgtype": "m.text", "body": "out of nowhere" });
    let place = ("m.room.message", None);
    let orphan = scene.away.server.event(&ends, &scene.eve, place, &content);
    scene.send(std::slice::from_ref(&orphan)).await;
    let spent = total(&scene).await;
    assert!(spent <= 10, "{spent} requests for one forged event");
    // It is remembered: sent again, nobody is asked again.
    let answers = scene.send(std::slice::from_ref(&orphan)).await;
    assert!(error_of(&answers, &orphan).is_some(), "{answers}");
    assert_eq!(total(&scene).await, spent);
    scene.still_works("after forged parents").await;
}

#[tokio::test]
async fn an_authorization_that_nobody_has_ends_the_same_way() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let content = json!({ "msgtype": "m.text", "body": "by no right" });
    let mut draft = ends.draft(&scene.eve, ("m.room.message", None), &content);
    for number in 0..6 {
        draft.auth_events.push(format!("$forged{number:037}").try_into().unwrap());
    }
    let name = scene.away.server.name().to_owned();
    let forged = draft.build_and_sign(ends.version, scene.away.server.key(), &name).unwrap();
    scene.send(std::slice::from_ref(&forged)).await;
    let spent = total(&scene).await;
    assert!(spent <= 12, "{spent} requests for one forged authorization");
    assert!(scene.read().await.is_empty());
    scene.still_works("after a forged authorization").await;
}

#[tokio::test]
async fn a_past_that_never_ends_is_given_up() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let mut row: Vec<Pdu> = Vec::new();
    let mut here = lost_in(ends, 1);
    for number in 0..400 {
        let pdu = scene.message(&here, &format!("{number}")).await;
        here = here.after(&pdu);
        row.push(pdu);
    }
    let last = row.pop().expect("an event");
    scene.send(std::slice::from_ref(&last)).await;
    assert!(scene.asked("missing").await <= 6, "pages are bounded");
    scene.still_works("after an endless past").await;
}

#[tokio::test]
async fn a_state_that_is_none_is_not_believed() {
    let mut scene = scene().await;
    scene.away.graph.lock().await.mute.insert("missing");
    let lies: [fn() -> Value; 4] = [
        || json!({ "pdu_ids": [], "auth_chain_ids": [] }),
        || json!({ "pdu_ids": [1, 2], "auth_chain_ids": "x" }),
        || json!({ "pdu_ids": ["$a", "$a", "$b"], "auth_chain_ids": [] }),
        || json!("no object"),
    ];
    for lie in lies {
        scene.away.graph.lock().await.instead.insert("state_ids", Box::new(lie));
        let ends = lost_in(scene.ends().await, 1);
        let pdu = scene.message(&ends, "with a made-up state").await;
        scene.send(std::slice::from_ref(&pdu)).await;
        assert!(scene.read().await.iter().all(|it| it != "with a made-up state"));
        scene.still_works("after a lie").await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_up_a_transaction() {
    let scene = scene().await;
    let pdus = scene.messages(scene.ends().await, &["lost", "found"]).await;
    let lock = scene.away.graph.clone();
    let held = lock.lock().await;
    let reply = tokio::time::timeout(Duration::from_secs(20), async {
        let body = json!({ "pdus": [json_of(&pdus[1])] });
        scene.away.transaction(&scene.home, "slow", body).await
    });
    let reply = reply.await.expect("an answer in time").ok();
    assert_eq!(reply["pdus"][pdus[1].event_id().as_str()], json!({}), "it is stored");
    // Meanwhile the room goes on.
    scene.alice.say(&scene.room, "meanwhile").await;
    drop(held);
    scene.read_soon("found").await;
}

async fn total(scene: &Scene) -> usize {
    scene.away.graph.lock().await.asked.len()
}
