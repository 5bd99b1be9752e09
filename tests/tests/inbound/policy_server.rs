//! Rooms with a policy server.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_testkit::server::{Blueprint, PretendServer, Reply, RoomEnds, segment};
use vestibule_types::limits::EXTREMITIES_MAX;

use crate::support::{Scene, error_of, scene, scene_of};

/// A policy server that signs everything but what has `spam` in it, or is about somebody with such a name.
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
                let whom = event["state_key"].as_str().unwrap_or_default();
                if text.contains("spam") || whom.contains("spam") {
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

impl Scene {
    /// Hands in a membership of a user of the server elsewhere, as they would.
    async fn hand_in(&self, (endpoint, membership): (&str, &str), user: &str) -> Reply {
        let user = self.away.server.user(user);
        let ends = RoomEnds::of(&self.home, &self.room).await;
        let member = ("m.room.member", Some(user.as_str()));
        let content = json!({ "membership": membership });
        let event = self.away.server.event(&ends, &user, member, &content);
        let (room, id) = (segment(&self.room), segment(event.event_id().as_str()));
        let body = event.to_federation_json().unwrap();
        let body: Value = serde_json::from_str(body.get()).unwrap();
        let path = format!("/_matrix/federation/{endpoint}/{room}/{id}");
        self.away.server.put(&self.home, &path, &body).await
    }

    async fn membership(&self, user: &str) -> Value {
        self.alice.state(&self.room, "m.room.member", user).await.body["membership"].clone()
    }
}

#[tokio::test]
async fn a_join_that_is_handed_in_needs_the_signature_of_the_policy_server() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    guard.watches(&scene).await;
    let answer = scene.hand_in(("v2/send_join", "join"), "frank").await.ok();
    assert!(answer["state"].is_array());
    assert_eq!(guard.asked(), ["m.room.member"]);
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(scene.membership("@frank:away.example").await, "join");
    let refused = scene.hand_in(("v2/send_join", "join"), "spammer").await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(guard.asked(), ["m.room.member"]);
    assert_eq!(scene.membership("@spammer:away.example").await, Value::Null);
    // Nor does anybody come in past a policy server that is away.
    scene.network.cut("policy.example");
    let refused = scene.hand_in(("v2/send_join", "join"), "grace").await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_knock_that_is_handed_in_needs_the_signature_of_the_policy_server() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    let rule = json!({ "join_rule": "knock" });
    guard.watches(&scene).await;
    scene.alice.set_state(&scene.room, "m.room.join_rules", "", &rule).await.ok();
    assert_eq!(guard.asked(), ["m.room.join_rules"]);
    scene.hand_in(("v1/send_knock", "knock"), "frank").await.ok();
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(scene.membership("@frank:away.example").await, "knock");
    let refused = scene.hand_in(("v1/send_knock", "knock"), "spammer").await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(scene.membership("@spammer:away.example").await, Value::Null);
}

#[tokio::test]
async fn a_leave_that_is_handed_in_needs_the_signature_of_the_policy_server() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    scene.away.server.slip_in(&scene.home, &scene.room, "spammer").await;
    guard.watches(&scene).await;
    scene.hand_in(("v2/send_leave", "leave"), "eve").await.ok();
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(scene.membership("@eve:away.example").await, "leave");
    let refused = scene.hand_in(("v2/send_leave", "leave"), "spammer").await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(scene.membership("@spammer:away.example").await, "join");
}

#[tokio::test]
async fn an_invitation_to_another_server_is_signed_by_the_policy_server_before_anybody_hears_of_it()
{
    let scene = scene().await;
    let guard = Guard::of(&scene);
    let b = Blueprint::default().on(&scene.network, "b.example").start().await;
    let (bob, _) = (b.register("bob").await, b.register("spammer").await);
    guard.watches(&scene).await;
    scene.alice.invite(&scene.room, "@bob:b.example").await.ok();
    assert_eq!(guard.asked(), ["m.room.member"]);
    assert!(guard.signed_the_newest(&scene).await);
    assert!(bob.sync("").await["rooms"]["invite"][&scene.room].is_object());

    let refused = scene.alice.invite(&scene.room, "@spammer:b.example").await;
    assert_eq!(refused.refusal(), (400, "ORG.EXAMPLE_SPAM"));
    assert_eq!(scene.membership("@spammer:b.example").await, Value::Null);
    let sent = scene.network.sent();
    let invites = sent.iter().filter(|it| it.to == "b.example" && it.line.contains("/invite/"));
    assert_eq!(invites.count(), 1, "nobody heard of the one that was refused");
}

#[tokio::test]
async fn a_room_stops_to_name_a_deleted_alias_with_the_signature_of_the_policy_server() {
    let scene = scene().await;
    let guard = Guard::of(&scene);
    guard.watches(&scene).await;
    let canonical =
        async || scene.alice.state(&scene.room, "m.room.canonical_alias", "").await.ok();
    let path = |name: &str| format!("/_matrix/client/v3/directory/room/{}", segment(name));
    for (name, is_there) in [("#tea:home.example", true), ("#cake:home.example", false)] {
        scene.alice.create_alias(name, &scene.room).await.ok();
        let content = json!({ "alias": name });
        scene.alice.set_state(&scene.room, "m.room.canonical_alias", "", &content).await.ok();
        assert_eq!(guard.asked(), ["m.room.canonical_alias"]);
        if !is_there {
            scene.network.cut("policy.example");
        }
        scene.alice.delete_alias(name).await.ok();
        assert_eq!(scene.alice.http().get(&path(name)).await.refusal(), (404, "M_NOT_FOUND"));
        if is_there {
            assert_eq!(guard.asked(), ["m.room.canonical_alias"]);
            assert_eq!(canonical().await, json!({}));
            assert!(guard.signed_the_newest(&scene).await);
        }
    }
    // Without the policy server the alias is gone all the same, and the room still names it.
    assert_eq!(canonical().await["alias"], "#cake:home.example");
}

#[tokio::test]
async fn the_ends_of_a_room_with_a_policy_server_are_bounded_without_an_event_it_did_not_sign() {
    let mut scene = scene().await;
    let guard = Guard::of(&scene);
    guard.watches(&scene).await;
    let base = scene.ends().await;
    for number in 0..EXTREMITIES_MAX + 5 {
        let fork = scene.message(&base, &format!("fork {number}")).await;
        let answers = scene.send(std::slice::from_ref(&fork)).await;
        assert_eq!(error_of(&answers, &fork), None);
    }
    assert_eq!(scene.ends().await.prev_events.len(), EXTREMITIES_MAX);
    // The next event of ours joins them, signed.
    scene.alice.say(&scene.room, "all together").await;
    assert!(guard.signed_the_newest(&scene).await);
    assert_eq!(scene.ends().await.prev_events.len(), 1);
}

/// An identity server that knows nobody, and keeps every invitation.
fn identity_server(scene: &Scene) -> PretendServer {
    let base = "/_matrix/identity/v2";
    let details = json!({ "algorithms": ["none"], "lookup_pepper": "p" });
    let key = json!({ "public_key": "ta8IQ0u1sp44HVpxYi7dFOdS/bfwDjcy4xLFlfY5KOA" });
    let kept = json!({ "token": "token", "public_keys": [key], "display_name": "c..." });
    let router = Router::new()
        .route(&format!("{base}/hash_details"), get(async || Json(details)))
        .route(&format!("{base}/lookup"), post(async || Json(json!({ "mappings": {} }))))
        .route(&format!("{base}/store-invite"), post(async || Json(kept)));
    PretendServer::answering(&scene.network, "id.example", router)
}

#[tokio::test]
async fn the_invitation_of_an_address_is_signed_by_the_policy_server() {
    let trusting = Blueprint::default().with("[identity]\ntrusted_servers = [\"id.example\"]\n");
    let scene = scene_of(trusting, "11").await;
    let (guard, _identity) = (Guard::of(&scene), identity_server(&scene));
    guard.watches(&scene).await;
    let address = json!({
        "id_server": "id.example", "id_access_token": "theirs", "medium": "email",
        "address": "carol@example.org",
    });
    scene.alice.in_room(&scene.room, "invite", &address).await.ok();
    assert_eq!(guard.asked(), ["m.room.third_party_invite"]);
    assert!(guard.signed_the_newest(&scene).await);
    scene.network.cut("policy.example");
    let refused = scene.alice.in_room(&scene.room, "invite", &address).await;
    assert_eq!(refused.status, 502);
}
