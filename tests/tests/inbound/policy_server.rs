//! Rooms with a policy server.

use std::sync::Arc;

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_testkit::server::PretendServer;

use crate::support::{Scene, error_of, scene};

/// A policy server that signs everything but what has `spam` in it.
struct Guard {
    server: PretendServer,
    /// The key that rooms have for it.
    public: String,
    /// The texts, or else the types, of what it was asked about.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Guard {
    fn of(scene: &Scene) -> Self {
        let key = Arc::new(SigningKey::from_seed([3; 32], "policy_server").unwrap());
        let (public, asked) = (key.public_key(), Arc::new(Mutex::new(Vec::new())));
        let sign = {
            let asked = asked.clone();
            move |Json(event): Json<Value>| async move {
                let of_state = event["state_key"].is_string();
                let what = if of_state { &event["type"] } else { &event["content"]["body"] };
                let text = what.as_str().unwrap_or_default().to_owned();
                asked.lock().push(text.clone());
                if text.contains("spam") {
                    let refusal = json!({ "errcode": "ORG.EXAMPLE_SPAM", "error": "no spam here" });
                    return (StatusCode::BAD_REQUEST, Json(refusal)).into_response();
                }
                let mut object: ruma::CanonicalJsonObject = serde_json::from_value(event).unwrap();
                let rules = ruma::RoomVersionId::V11.rules().unwrap();
                let name = "policy.example";
                object.remove("signatures");
                ruma::signatures::sign_event(name, &*key, &mut object, &rules.redaction).unwrap();
                let object = serde_json::to_value(object).unwrap();
                Json(json!({ name: object["signatures"][name] })).into_response()
            }
        };
        let router = Router::new().route("/_matrix/policy/v1/sign", post(sign));
        let server = PretendServer::answering(&scene.network, "policy.example", router);
        Self { server, public, asked }
    }

    /// Names it in the room's state.
    async fn is_named(&self, scene: &Scene) {
        let content = json!({ "via": "policy.example", "public_keys": { "ed25519": self.public } });
        scene.alice.set_state(&scene.room, "m.room.policy", "", &content).await.ok();
    }

    /// Names it and comes into the room.
    async fn watches(&self, scene: &Scene) {
        self.is_named(scene).await;
        self.server.slip_in(&scene.home, &scene.room, "guard").await;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    /// Whether the newest event of the room carries its signature.
    async fn signed_the_newest(&self, scene: &Scene) -> bool {
        let room = ruma::RoomId::parse(&scene.room).unwrap();
        let newest = scene.home.running().rooms().with_view(&room, |view| {
            let newest = view.timeline_back(None, None, 1)?;
            let (_, no) = newest.first().expect("an event");
            Ok::<_, vestibule_storage::StorageError>(view.event(*no)?.unwrap().pdu)
        });
        let newest = newest.await.unwrap().unwrap();
        let server = ruma::server_name!("policy.example");
        vestibule_events::is_recommended(&newest, server, &self.public)
    }
}

#[tokio::test]
async fn events_need_the_signature_of_the_rooms_policy_server() {
    let mut scene = scene().await;
    let guard = Guard::of(&scene);
    guard.is_named(&scene).await;
    // Without a member in the room it does not count.
    let before = scene.message(&scene.ends().await, "spam before").await;
    scene.send(std::slice::from_ref(&before)).await;
    assert_eq!(scene.read().await, ["spam before"]);
    assert_eq!(guard.asked(), [""; 0]);

    guard.server.slip_in(&scene.home, &scene.room, "guard").await;
    let ends = scene.ends().await;
    let good = scene.message(&ends, "good").await;
    let spam = scene.message(&ends.clone().after(&good), "spam").await;
    let answers = scene.send(&[good.clone(), spam.clone()]).await;
    assert_eq!(error_of(&answers, &good), None);
    assert_eq!(error_of(&answers, &spam), None, "a soft failure is no error");
    assert_eq!(scene.read().await, ["spam before", "good"]);
    assert_eq!(guard.asked(), ["good", "spam"]);
    // Its signature is kept with the event, so nobody has to ask again.
    let kept = scene.home.running().rooms();
    let room = ruma::RoomId::parse(&scene.room).unwrap();
    let id = good.event_id().clone();
    let kept = kept.with_view(&room, move |view| {
        Ok::<_, vestibule_storage::StorageError>(view.event_by_id(&id)?.unwrap().pdu)
    });
    let kept = kept.await.unwrap().unwrap();
    let server = ruma::server_name!("policy.example");
    assert!(vestibule_events::is_recommended(&kept, server, &guard.public));
}

#[tokio::test]
async fn our_own_events_are_signed_by_the_policy_server_before_they_are_sent() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    scene.alice.say(&scene.room, "before").await;
    guard.watches(&scene).await;
    assert_eq!(guard.asked(), [""; 0], "the event that names it needs no signature");
    scene.alice.say(&scene.room, "good").await;
    assert!(guard.signed_the_newest(&scene).await);
    let topic = json!({ "topic": "tea" });
    scene.alice.set_state(&scene.room, "m.room.topic", "", &topic).await.ok();
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(guard.asked(), ["good", "m.room.topic"]);
    let carol = scene.home.register("carol").await;
    carol.join(&scene.room).await.ok();
    assert_eq!(guard.asked(), ["m.room.member"]);
    scene.alice.kick(&scene.room, &carol.user_id).await.ok();
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(scene.read().await, ["before", "good"]);
}

#[tokio::test]
async fn what_the_policy_server_refuses_is_not_sent_and_its_words_are_passed_on() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    guard.watches(&scene).await;
    let refused = scene.alice.try_say(&scene.room, "spam").await;
    assert_eq!(refused.refusal(), (400, "ORG.EXAMPLE_SPAM"));
    assert_eq!(refused.body["error"], "no spam here");
    assert_eq!(guard.asked(), ["spam"]);
    scene.alice.say(&scene.room, "tea").await;
    assert_eq!(scene.read().await, ["tea"]);
}

#[tokio::test]
async fn while_the_policy_server_is_away_one_can_leave_and_name_another_and_nothing_else() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    let carol = scene.home.register("carol").await;
    carol.join(&scene.room).await.ok();
    guard.watches(&scene).await;
    scene.network.cut("policy.example");
    assert_eq!(scene.alice.try_say(&scene.room, "anybody?").await.status, 502);
    carol.leave(&scene.room).await.ok();
    scene.alice.set_state(&scene.room, "m.room.policy", "", &json!({})).await.ok();
    scene.alice.say(&scene.room, "without it").await;
    assert_eq!(scene.read().await, ["without it"]);
    assert_eq!(guard.asked(), [""; 0]);
}

#[tokio::test]
async fn a_signature_by_another_key_than_the_rooms_counts_for_nothing() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    let other = SigningKey::from_seed([4; 32], "policy_server").unwrap().public_key();
    let content = json!({ "via": "policy.example", "public_keys": { "ed25519": other } });
    scene.alice.set_state(&scene.room, "m.room.policy", "", &content).await.ok();
    guard.server.slip_in(&scene.home, &scene.room, "guard").await;
    assert_eq!(scene.alice.try_say(&scene.room, "hello").await.status, 502);
    assert_eq!(guard.asked(), ["hello"]);
    assert_eq!(scene.read().await, [""; 0]);
}

#[tokio::test]
async fn closing_a_room_takes_a_signature_for_each_of_its_last_events() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    guard.watches(&scene).await;
    let version = json!({ "new_version": "11" });
    let upgraded = scene.alice.in_room(&scene.room, "upgrade", &version).await.ok();
    assert!(upgraded["replacement_room"].is_string());
    assert_eq!(guard.asked(), ["m.room.tombstone", "m.room.power_levels"]);
    assert!(guard.signed_the_newest(&scene).await);
}
