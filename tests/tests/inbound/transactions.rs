//! Transactions as a whole: limits, answers, repetition.

use serde_json::{Value, json};
use vestibule_testkit::server::Blueprint;

use crate::support::{error_of, json_of, scene, scene_of};

#[tokio::test]
async fn events_are_taken_in_their_order_and_shown() {
    for version in ["6", "12"] {
        let mut scene = scene_of(Blueprint::default().slots(3), version).await;
        let texts = ["one", "two", "three"];
        let mut pdus = scene.messages(scene.ends().await, &texts).await;
        pdus.swap(0, 2);
        let answers = scene.send(&pdus).await;
        for pdu in &pdus {
            assert_eq!(error_of(&answers, pdu), None, "{answers}");
        }
        assert_eq!(scene.read().await, texts);
        assert_eq!(scene.asked("missing").await, 0, "everything was there");
        scene.still_works("after a row of events").await;
    }
}

#[tokio::test]
async fn each_event_has_an_answer_of_its_own() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let good = scene.message(&ends, "good").await;
    let ends = ends.after(&good);
    // Sent by another key than the one its server has.
    let other = crate::support::Away::on(&vestibule_testkit::server::Network::new(), "x.example");
    let draft = ends.draft(&scene.eve, ("m.room.message", None), &json!({ "body": "forged" }));
    let away = scene.away.server.name().to_owned();
    let forged = draft.build_and_sign(ends.version, other.server.key(), &away).unwrap();
    let levels = json!({ "users": { scene.eve.as_str(): 100 } });
    let mighty = scene.event(&ends, ("m.room.power_levels", Some("")), &levels).await;
    let mut elsewhere = ends.clone();
    elsewhere.room_id = "!nowhere:away.example".try_into().unwrap();
    let nowhere = scene.message(&elsewhere, "nowhere").await;
    let last = scene.message(&ends, "last").await;

    let all = [good.clone(), forged.clone(), mighty.clone(), nowhere.clone(), last.clone()];
    let answers = scene.send(&all).await;
    assert_eq!(error_of(&answers, &good), None);
    assert!(error_of(&answers, &forged).is_some(), "{answers}");
    assert!(error_of(&answers, &mighty).is_some(), "{answers}");
    assert_eq!(answers[nowhere.event_id().as_str()], Value::Null, "of a room nobody knows here");
    assert_eq!(error_of(&answers, &last), None);
    assert_eq!(scene.read().await, ["good", "last"]);
    // What was refused is remembered, not fetched.
    let after = scene.ends().await.after(&mighty);
    let mut child = after.clone();
    child.state = ends.state.clone();
    let child = scene.message(&child, "after a refused event").await;
    let answers = scene.send(std::slice::from_ref(&child)).await;
    assert_eq!(error_of(&answers, &child), None, "{answers}");
    assert_eq!(scene.read().await, ["good", "last", "after a refused event"]);
    assert_eq!(scene.asked("missing").await + scene.asked("event").await, 0);
    scene.still_works("after refusals").await;
}

#[tokio::test]
async fn an_event_whose_hash_does_not_hold_comes_in_redacted() {
    let mut scene = scene().await;
    let pdu = scene.message(&scene.ends().await, "as it was").await;
    let mut changed = json_of(&pdu);
    changed["content"]["body"] = "as it was not".into();
    let answers = scene.send_json(vec![changed]).await.ok()["pdus"].clone();
    assert_eq!(error_of(&answers, &pdu), None, "{answers}");
    assert!(scene.read().await.is_empty());
    let page = scene.alice.of_room(&scene.room, "messages?dir=b&limit=1").await.ok();
    assert_eq!(page["chunk"][0]["event_id"], pdu.event_id().as_str());
    assert_eq!(page["chunk"][0]["content"], json!({}));
    scene.still_works("after a changed event").await;
}

#[tokio::test]
async fn a_banned_user_who_builds_on_the_past_is_kept_out_of_sight() {
    let mut scene = scene().await;
    let past = scene.ends().await;
    let trent = scene.away.server.slip_in(&scene.home, &scene.room, "trent").await;
    let past = past.after(&last_join(&scene, trent.as_str()).await);
    scene.alice.ban(&scene.room, trent.as_str()).await.ok();
    let content = json!({ "msgtype": "m.text", "body": "too late" });
    let late = scene.away.server.event(&past, &trent, ("m.room.message", None), &content);
    let answers = scene.send(std::slice::from_ref(&late)).await;
    assert_eq!(error_of(&answers, &late), None, "it is part of the graph: {answers}");
    assert!(scene.read().await.is_empty());
    scene.still_works("after a soft failure").await;
}

/// The join of a user, as home has it.
async fn last_join(scene: &crate::support::Scene, user: &str) -> vestibule_events::Pdu {
    let (room, user) = (ruma::RoomId::parse(&scene.room).unwrap(), user.to_owned());
    let found = scene.home.running().rooms().with_view(&room, move |view| {
        let event = view.state_event("m.room.member", &user)?.expect("a member");
        Ok::<_, vestibule_storage::StorageError>((*event.pdu).clone())
    });
    found.await.expect("read").expect("a room")
}

#[tokio::test]
async fn more_than_a_transaction_may_hold_is_refused_whole() {
    let mut scene = scene().await;
    let many = |count: usize| vec![json!({}); count];
    let reply = scene.send_json(many(51)).await;
    assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
    let reply = scene.pass(many(101)).await;
    assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
    scene.send_json(many(50)).await.ok();
    scene.pass(many(100)).await.ok();
    let body = json!({ "origin": "other.example", "origin_server_ts": 1, "pdus": [] });
    let path = "/_matrix/federation/v1/send/x";
    let reply = scene.away.server.put(&scene.home, path, &body).await;
    assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_repeated_transaction_has_the_same_answer_and_happens_once_also_after_a_restart() {
    let mut scene = scene_of(Blueprint::default().on_disk(), "11").await;
    let ends = scene.ends().await;
    let good = scene.message(&ends, "once").await;
    let levels = json!({ "users": { scene.eve.as_str(): 100 } });
    let bad = scene.event(&ends, ("m.room.power_levels", Some("")), &levels).await;
    let direct = json!({
        "edu_type": "m.direct_to_device",
        "content": {
            "sender": scene.eve, "type": "m.test", "message_id": "one",
            "messages": { scene.alice.user_id.clone(): { "*": { "n": 1 } } },
        },
    });
    let body = json!({ "pdus": [json_of(&good), json_of(&bad)], "edus": [direct] });
    let first = scene.away.transaction(&scene.home, "same", body.clone()).await.ok();
    assert!(first["pdus"][bad.event_id().as_str()]["error"].is_string(), "{first}");
    // Another content under the same id is not even looked at.
    let other = json!({ "pdus": [] });
    let again = scene.away.transaction(&scene.home, "same", other.clone()).await.ok();
    assert_eq!(again, first);
    scene.home = scene.home.restart().await;
    let again = scene.away.transaction(&scene.home, "same", other).await.ok();
    assert_eq!(again, first);
    // The same message to a device under another transaction is taken once too.
    scene.away.transaction(&scene.home, "other", body).await.ok();
    scene.alice = scene.home.login("alice").await;
    assert_eq!(scene.read().await, ["once"]);
}

#[tokio::test]
async fn a_server_that_a_room_shuts_out_is_told_so_for_each_event() {
    let mut scene = scene().await;
    let acl = json!({ "allow": ["*"], "deny": ["away.example"], "allow_ip_literals": true });
    scene.alice.set_state(&scene.room, "m.room.server_acl", "", &acl).await.ok();
    let pdu = scene.message(&scene.ends().await, "let me in").await;
    let answers = scene.send(std::slice::from_ref(&pdu)).await;
    assert!(error_of(&answers, &pdu).is_some(), "{answers}");
    assert!(scene.read().await.is_empty());
}

#[tokio::test]
async fn events_of_a_room_that_we_left_are_passed_over() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    scene.alice.leave(&scene.room).await.ok();
    let pdu = scene.message(&ends, "is anybody there?").await;
    let answers = scene.send(std::slice::from_ref(&pdu)).await;
    assert_eq!(error_of(&answers, &pdu), None, "{answers}");
    assert_eq!(scene.asked("missing").await, 0);
}

#[tokio::test]
async fn fifty_events_of_a_room_are_few_batches() {
    let mut scene = scene().await;
    let texts: Vec<String> = (0..50).map(|number| format!("{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pdus = scene.messages(scene.ends().await, &texts).await;
    let before = scene.home.running().rooms().store().positions();
    scene.send(&pdus).await;
    let after = scene.home.running().rooms().store().positions();
    assert_eq!(scene.read().await, texts);
    let commits: u64 =
        after.iter().zip(before.iter()).map(|(after, before)| after.1 - before.1).sum();
    assert!(commits <= 4, "{commits} commits for one transaction");
}

#[tokio::test]
async fn a_number_that_no_event_may_hold_refuses_its_own_event_alone() {
    let mut scene = scene().await;
    let ends = scene.ends().await;
    let good = scene.message(&ends, "good").await;
    let last = scene.message(&ends.clone().after(&good), "last").await;
    let strange = json_of(&scene.message(&ends, "strange").await);
    let mut pdus = vec![json_of(&good)];
    let (large, small) = (9_007_199_254_740_992_i64, -9_007_199_254_740_992_i64);
    for number in [json!(large), json!(small), json!(u64::MAX), json!(1.5), json!(1e300)] {
        for place in ["/content/body", "/depth", "/origin_server_ts"] {
            let mut pdu = strange.clone();
            *pdu.pointer_mut(place).unwrap() = number.clone();
            pdus.push(pdu);
        }
    }
    pdus.push(json_of(&last));
    let answers = scene.send_json(pdus).await.ok()["pdus"].clone();
    for pdu in [&good, &last] {
        assert_eq!(error_of(&answers, pdu), None, "{answers}");
    }
    assert_eq!(scene.read().await, ["good", "last"]);
    scene.still_works("after strange numbers").await;
}
