//! Outliers, soft-failed and rejected events as other servers meet them.

use ruma::OwnedUserId;
use serde_json::json;
use vestibule_testkit::server::RoomEnds;

use crate::support::{Scene, bodies};

/// A room in which two people of the other server are.
async fn shared(scene: &Scene) -> (String, OwnedUserId, OwnedUserId) {
    let room = scene.room().await;
    let bob = scene.away.slip_in(&scene.server, &room, "bob").await;
    let carol = scene.away.slip_in(&scene.server, &room, "carol").await;
    (room, bob, carol)
}

const MESSAGE: (&str, Option<&str>) = ("m.room.message", None);

#[tokio::test]
async fn a_soft_failed_event_is_found_by_its_id_and_by_those_that_follow_it_only() {
    let scene = Scene::new().await;
    let (room, bob, carol) = shared(&scene).await;
    let ends = RoomEnds::of(&scene.server, &room).await;
    let ban = json!({ "user_id": bob });
    scene.alice.in_room(&room, "ban", &ban).await.ok();
    let sneaked = scene.away.event(&ends, &bob, MESSAGE, &json!({ "body": "sneaked" }));
    let received = scene.away.hand_over(&scene.server, &sneaked).await;
    assert_eq!(format!("{received:?}"), "SoftFailed");
    let id = sneaked.event_id().as_str();

    assert_eq!(bodies(&scene.event(id).await.ok()["pdus"]), ["sneaked"]);
    scene.state_ids(&room, id).await.ok();
    scene.event_auth(&room, id).await.ok();
    let now = scene.alice.say(&room, "now").await;
    let history = scene.backfill(&room, &[&now], 100).await.ok();
    assert_eq!(bodies(&history["pdus"]), ["now"]);

    let follows = ends.after(&sneaked);
    let follows = scene.away.event(&follows, &carol, MESSAGE, &json!({ "body": "follows" }));
    let received = scene.away.hand_over(&scene.server, &follows).await;
    assert_eq!(format!("{received:?}"), "Accepted");
    let history = scene.backfill(&room, &[follows.event_id().as_str()], 100).await.ok();
    assert_eq!(bodies(&history["pdus"]), ["follows", "sneaked"]);
    let missing = json!({ "latest_events": [follows.event_id()], "earliest_events": [] });
    let missing = scene.missing(&room, &missing).await.ok();
    assert_eq!(bodies(&missing["events"]), ["sneaked"]);
}

#[tokio::test]
async fn a_rejected_event_is_shown_to_nobody_and_hides_nothing_behind_it() {
    let scene = Scene::new().await;
    let (room, bob, carol) = shared(&scene).await;
    let said = scene.alice.say(&room, "said").await;
    let ends = RoomEnds::of(&scene.server, &room).await;
    let name = json!({ "name": "usurped" });
    let usurped = scene.away.event(&ends, &bob, ("m.room.name", Some("")), &name);
    let received = scene.away.hand_over(&scene.server, &usurped).await;
    assert!(format!("{received:?}").starts_with("Rejected"), "{received:?}");
    let id = usurped.event_id().as_str();

    assert_eq!(scene.event(id).await.refusal(), (404, "M_NOT_FOUND"));
    assert_eq!(scene.event_auth(&room, id).await.refusal(), (404, "M_NOT_FOUND"));
    let mut follows = ends.clone();
    follows.prev_events = vec![usurped.event_id().clone()];
    follows.depth = usurped.depth() + 1;
    let follows = scene.away.event(&follows, &carol, MESSAGE, &json!({ "body": "follows" }));
    let received = scene.away.hand_over(&scene.server, &follows).await;
    assert_eq!(format!("{received:?}"), "Accepted");
    let history = scene.backfill(&room, &[follows.event_id().as_str()], 100).await.ok();
    assert_eq!(bodies(&history["pdus"]), ["follows", "said"]);
    assert!(!history.to_string().contains("usurped"));

    let state = scene.state_ids(&room, follows.event_id().as_str()).await.ok();
    assert_eq!(state, scene.state_ids(&room, id).await.ok(), "it changed nothing");
    let chain = scene.event_auth(&room, &said).await.ok();
    assert!(!chain.to_string().contains("usurped"));
}

#[tokio::test]
async fn an_outlier_has_an_auth_chain_but_no_place_in_history_and_no_state() {
    let scene = Scene::new().await;
    let (room, bob, _) = shared(&scene).await;
    let mut ends = RoomEnds::of(&scene.server, &room).await;
    ends.prev_events = vec![format!("${}", "f".repeat(43)).try_into().expect("an event id")];
    let member = ("m.room.member", Some(bob.as_str()));
    let renamed = json!({ "membership": "join", "displayname": "Bob" });
    let state = scene.away.event(&ends, &bob, member, &renamed);
    let message = scene.away.event(&ends, &bob, MESSAGE, &json!({ "body": "from nowhere" }));
    let outliers = vec![scene.away.verified(&state), scene.away.verified(&message)];
    let rooms = scene.server.running().rooms();
    let left = rooms.store_outliers(&ends.room_id, outliers).await.expect("stored");
    assert!(left.is_empty());

    let (state, message) = (state.event_id().as_str(), message.event_id().as_str());
    assert_eq!(scene.event(state).await.ok()["pdus"][0]["content"], renamed);
    assert_eq!(scene.event(message).await.refusal(), (404, "M_NOT_FOUND"));
    scene.event_auth(&room, state).await.ok();
    for id in [state, message] {
        assert_eq!(scene.state_ids(&room, id).await.refusal(), (404, "M_NOT_FOUND"));
        assert_eq!(scene.backfill(&room, &[id], 10).await.ok()["pdus"], json!([]));
    }
}
