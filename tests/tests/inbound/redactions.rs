//! Redactions are shown to clients once they take effect, and to other servers as any event is.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_events::Pdu;
use vestibule_testkit::server::{Blueprint, segment};

use crate::support::{Scene, json_of, scene, scene_of};

/// What alice is told of the room by a sync: ids and types of events.
async fn told(scene: &Scene, since: &mut String) -> Vec<(String, String)> {
    let sync = scene.alice.sync(since).await;
    sync["next_batch"].as_str().expect("a token").clone_into(since);
    let room = &sync["rooms"]["join"][&scene.room];
    let events = room["timeline"]["events"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    events.iter().map(|event| (text(&event["event_id"]), text(&event["type"]))).collect()
}

async fn history(scene: &Scene) -> Vec<String> {
    let page = scene.alice.of_room(&scene.room, "messages?dir=f&limit=1000").await.ok();
    let events = page["chunk"].as_array().cloned().unwrap_or_default();
    events.iter().filter_map(|event| event["event_id"].as_str().map(str::to_owned)).collect()
}

async fn look(scene: &Scene, event: &Pdu) -> Result<Value, u16> {
    let path = format!("event/{}", segment(event.event_id().as_str()));
    let reply = scene.alice.of_room(&scene.room, &path).await;
    if reply.status == 200 { Ok(reply.ok()) } else { Err(reply.status) }
}

/// How many transactions the server elsewhere was sent.
fn transactions(scene: &Scene) -> usize {
    let sent = scene.network.sent();
    sent.iter().filter(|it| it.to == "away.example" && it.line.contains("/v1/send/")).count()
}

fn content_of(event: &Value) -> &Value {
    &event["content"]
}

#[tokio::test]
async fn a_redaction_without_effect_is_shown_to_no_client_and_to_every_server() {
    let mut scene = scene().await;
    let said = scene.alice.say(&scene.room, "mine").await;
    // Nobody but eve of that server has any power.
    let mallory = scene.away.server.slip_in(&scene.home, &scene.room, "mallory").await;
    let mut since = String::new();
    told(&scene, &mut since).await;
    let ends = scene.ends().await;
    let place = ("m.room.redaction", None);
    let of_hers = scene.away.server.event(&ends, &mallory, place, &json!({ "redacts": said }));
    let elsewhere = json!({ "redacts": "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
    let of_none = scene.away.server.event(&ends.after(&of_hers), &scene.eve, place, &elsewhere);
    scene.send(&[of_hers.clone(), of_none.clone()]).await;
    let next = scene.message(&scene.ends().await, "after it").await;
    scene.send(std::slice::from_ref(&next)).await;
    let id = next.event_id().to_string();
    assert_eq!(told(&scene, &mut since).await, [(id.clone(), "m.room.message".to_owned())]);
    let seen = history(&scene).await;
    for hidden in [&of_hers, &of_none] {
        assert!(!seen.contains(&hidden.event_id().to_string()), "{seen:?}");
        assert_eq!(look(&scene, hidden).await.expect_err("it is not shown"), 404);
        let path = segment(hidden.event_id().as_str());
        let path = format!("/_matrix/federation/v1/event/{path}");
        let served = scene.away.server.get(&scene.home, &path).await.ok();
        assert_eq!(served["pdus"][0]["sender"], json_of(hidden)["sender"]);
    }
    assert_eq!(scene.read().await, ["mine", "after it"]);
    // Everything begins with an empty token: nothing is shown there either.
    let all = told(&scene, &mut String::new()).await;
    assert!(all.iter().any(|(event, _)| *event == id), "{all:?}");
    assert!(all.iter().all(|(_, kind)| kind != "m.room.redaction"), "{all:?}");
}

#[tokio::test]
async fn a_redaction_that_was_early_is_told_after_what_it_redacts() {
    for version in ["10", "12"] {
        let mut scene = scene_of(Blueprint::default(), version).await;
        let ends = scene.ends().await;
        let target = scene.message(&ends, "slander").await;
        let content = json!({ "redacts": target.event_id() });
        let redaction = if version == "12" {
            scene.event(&ends, ("m.room.redaction", None), &content).await
        } else {
            let mut draft = ends.draft(&scene.eve, ("m.room.redaction", None), &json!({}));
            draft.redacts = Some(target.event_id().clone());
            let server = &scene.away.server;
            draft.build_and_sign(ends.version, server.key(), server.name()).expect("an event")
        };
        let mut since = String::new();
        told(&scene, &mut since).await;
        scene.send(std::slice::from_ref(&redaction)).await;
        assert_eq!(told(&scene, &mut since).await, [], "{version}");
        scene.send(std::slice::from_ref(&target)).await;
        let both = [
            (target.event_id().to_string(), "m.room.message".to_owned()),
            (redaction.event_id().to_string(), "m.room.redaction".to_owned()),
        ];
        assert_eq!(told(&scene, &mut since).await, both, "{version}");
        let seen = history(&scene).await;
        let last: Vec<String> = both.iter().map(|(id, _)| id.clone()).collect();
        assert!(seen.ends_with(&last), "{seen:?}");
        let shown = look(&scene, &target).await.expect("it is shown");
        assert_eq!(content_of(&shown), &json!({}), "{version}");
        look(&scene, &redaction).await.expect("it is shown");
        scene.still_works("after a redaction that was early").await;
    }
}

#[tokio::test]
async fn what_is_not_here_may_be_redacted_and_other_servers_are_told() {
    let mut scene = scene().await;
    let target = scene.message(&scene.ends().await, "slander").await;
    let path = format!(
        "/_matrix/client/v3/rooms/{}/redact/{}/txn",
        segment(&scene.room),
        segment(target.event_id().as_str())
    );
    let mut since = String::new();
    told(&scene, &mut since).await;
    let before = transactions(&scene);
    let id = scene.alice.http().put(&path, &json!({})).await.ok()["event_id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    assert_eq!(told(&scene, &mut since).await, []);
    for _ in 0..200 {
        if transactions(&scene) > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(transactions(&scene) > before, "the other server is not told");
    scene.send(std::slice::from_ref(&target)).await;
    let both = [
        (target.event_id().to_string(), "m.room.message".to_owned()),
        (id, "m.room.redaction".to_owned()),
    ];
    assert_eq!(told(&scene, &mut since).await, both);
    let shown = look(&scene, &target).await.expect("it is shown");
    assert_eq!(content_of(&shown), &json!({}));
}
