//! Servers that hand over something else than the room that was asked for: the join is refused, the
//! reason is told, and nothing of what they said stays.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that called them"
)]

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Path,
    routing::{get, put},
};
use parking_lot::Mutex;
use ruma::RoomId;
use serde_json::{Value, json};
use vestibule_events::Pdu;
use vestibule_storage::StorageError;
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, Reply, RoomEnds, TestServer, segment,
};
use vestibule_types::limits::JOIN_ANSWER_EVENTS_MAX;

type Answer = Arc<Mutex<Value>>;

/// A server somebody wants to join from, one that made a room, and one that lies about it.
struct Scene {
    home: TestServer,
    bob: Person,
    alice: Person,
    room: String,
    /// What the liar answers when a join is handed in.
    answer: Answer,
    /// What it would answer if it were honest.
    honest: Value,
    there: TestServer,
}

fn json_of(pdu: &Pdu) -> Value {
    serde_json::from_slice(pdu.json()).expect("JSON")
}

/// An event of a room by its place in the state.
async fn state_event(server: &TestServer, room: &str, kind: &'static str, key: &str) -> Value {
    let room = RoomId::parse(room).expect("a room id");
    let key = key.to_owned();
    let found = server.running().rooms().with_view(&room, move |view| {
        Ok::<_, StorageError>(view.state_event(kind, &key)?.map(|event| json_of(&event.pdu)))
    });
    found.await.expect("read").expect("a room").expect("state")
}

async fn honest_answer(server: &TestServer, room: &str) -> Value {
    let room = RoomId::parse(room).expect("a room id");
    let looked = server.running().rooms().with_view(&room, |view| {
        let mut state = Vec::new();
        for no in view.full_state(view.room.head.state, None)?.into_values() {
            state.push(json_of(&view.event(no)?.expect("stored").pdu));
        }
        Ok::<_, StorageError>(state)
    });
    let state = looked.await.expect("read").expect("a room");
    let kinds = ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"];
    let chain: Vec<&Value> =
        state.iter().filter(|event| kinds.iter().any(|kind| event["type"] == *kind)).collect();
    json!({ "state": state, "auth_chain": chain, "members_omitted": false })
}

async fn scene() -> Scene {
    let network = Network::new();
    let home = Blueprint::default().on_disk().on(&network, "home.example");
    let home = Box::pin(home.start()).await;
    let there = Box::pin(Blueprint::default().on(&network, "there.example").start()).await;
    let (bob, alice) = (home.register("bob").await, there.register("alice").await);
    let options = json!({ "preset": "public_chat", "room_version": "12", "name": "Tea" });
    let room = alice.create_room(&options).await;
    alice.say(&room, "hello").await;
    let honest = honest_answer(&there, &room).await;
    let answer = Answer::default();
    liar(&network, (&there, &room), &answer).await;
    Scene { home, bob, alice, room, answer, honest, there }
}

/// A server that lays joins of the room out as they should be, and answers them as it likes.
async fn liar(network: &Network, (there, room): (&TestServer, &str), answer: &Answer) {
    let ends = RoomEnds::of(there, room).await;
    let make = move |Path((_, user)): Path<(String, String)>| async move {
        let user = ruma::OwnedUserId::try_from(user).expect("a user id");
        let member = ("m.room.member", Some(user.as_str()));
        let draft = ends.draft(&user, member, &json!({ "membership": "join" }));
        Json(json!({
            "room_version": "12",
            "event": {
                "type": "m.room.member", "room_id": draft.room_id, "sender": user, "state_key": user,
                "content": draft.content, "prev_events": draft.prev_events,
                "auth_events": draft.auth_events, "depth": draft.depth, "origin_server_ts": 1,
                "origin": "liar.example",
            },
        }))
    };
    let answer = answer.clone();
    let take = move || async move { Json(answer.lock().clone()) };
    let router = Router::new()
        .route("/_matrix/federation/v1/make_join/{room}/{user}", get(make))
        .route("/_matrix/federation/v2/send_join/{room}/{id}", put(take));
    drop(PretendServer::answering(network, "liar.example", router));
}

impl Scene {
    async fn join(&self) -> Reply {
        let room = segment(&self.room);
        let path = format!("/_matrix/client/v3/join/{room}?via=liar.example");
        self.bob.http().post(&path, &json!({})).await
    }

    /// A join that is answered with the honest answer, bent, is refused for this reason.
    async fn refuses(&self, bend: impl FnOnce(&mut Value), reason: &str) {
        let mut answer = self.honest.clone();
        bend(&mut answer);
        *self.answer.lock() = answer;
        let refused = self.join().await;
        assert_eq!(refused.status, 502, "{reason}: {}", refused.body);
        let told = refused.body["error"].as_str().expect("a reason");
        assert!(told.contains(reason), "{told:?} is not about {reason:?}");
        assert!(!self.knows_the_room().await, "{reason}");
        assert!(self.bob.sync("").await["rooms"]["join"][&self.room].is_null(), "{reason}");
    }

    async fn knows_the_room(&self) -> bool {
        let room = RoomId::parse(&self.room).expect("a room id");
        let rooms = self.home.running().rooms();
        let seen = rooms.with_view(&room, |view| Ok::<_, StorageError>(view.room.no)).await;
        seen.expect("read").is_some()
    }

    /// The honest answer brings the room here, whatever was tried before.
    async fn lets_an_honest_room_in(&self) {
        *self.answer.lock() = self.honest.clone();
        self.join().await.ok();
        let name = self.bob.state(&self.room, "m.room.name", "").await.ok();
        assert_eq!(name["name"], "Tea");
        let checked = self.home.operator("GET", "/db/check", &json!(null)).await.ok();
        assert_eq!(checked["problems_found"], 0, "{checked}");
    }
}

/// Every event of a type, in the state and in the chain.
fn each(answer: &mut Value, kind: &str, mut change: impl FnMut(&mut Value)) {
    for list in ["state", "auth_chain"] {
        let events = answer[list].as_array_mut().expect("a list");
        events.iter_mut().filter(|event| event["type"] == kind).for_each(&mut change);
    }
}

fn leave_out(answer: &mut Value, kind: &str) {
    for list in ["state", "auth_chain"] {
        answer[list].as_array_mut().expect("a list").retain(|event| event["type"] != kind);
    }
}

#[tokio::test]
async fn refuses_forged_state() {
    let scene = scene().await;
    let power = |event: &mut Value| event["content"]["users_default"] = json!(100);
    let nobody = "the event names events nobody knows here";
    scene.refuses(|it| each(it, "m.room.power_levels", power), nobody).await;
    let open = |event: &mut Value| event["content"]["join_rule"] = json!("knock");
    scene.refuses(|it| each(it, "m.room.join_rules", open), nobody).await;
    let version = |event: &mut Value| event["content"]["room_version"] = json!("11");
    scene.refuses(|it| each(it, "m.room.create", version), "the state has no create event").await;
    scene.lets_an_honest_room_in().await;
}

#[tokio::test]
async fn refuses_a_room_without_what_authorizes_it() {
    let scene = scene().await;
    let nobody = "the event names events nobody knows here";
    // Without her membership alice could not have set the power levels.
    scene.refuses(|it| leave_out(it, "m.room.member"), nobody).await;
    scene.refuses(|it| leave_out(it, "m.room.power_levels"), nobody).await;
    scene.refuses(|it| leave_out(it, "m.room.join_rules"), nobody).await;
    let empty = |it: &mut Value| *it = json!({ "state": [], "auth_chain": [] });
    scene.refuses(empty, "the state has no create event").await;
    scene.lets_an_honest_room_in().await;
}

#[tokio::test]
async fn refuses_another_room_and_parts_of_one() {
    let scene = scene().await;
    let options = json!({ "preset": "public_chat", "room_version": "12", "name": "Other" });
    let other = scene.alice.create_room(&options).await;
    let whole = honest_answer(&scene.there, &other).await;
    scene.refuses(|it| *it = whole.clone(), "the state has no create event").await;
    // A part of it is left out.
    let mut name = state_event(&scene.there, &other, "m.room.name", "").await;
    let mut answer = scene.honest.clone();
    answer["state"].as_array_mut().expect("a list").insert(0, name.take());
    *scene.answer.lock() = answer;
    scene.join().await.ok();
    let name = scene.bob.state(&scene.room, "m.room.name", "").await.ok();
    assert_eq!(name["name"], "Tea");
}

#[tokio::test]
async fn refuses_what_is_no_state_of_a_room() {
    let scene = scene().await;
    let old = state_event(&scene.there, &scene.room, "m.room.name", "").await;
    let new = json!({ "name": "Coffee" });
    scene.alice.set_state(&scene.room, "m.room.name", "", &new).await.ok();
    let renamed = state_event(&scene.there, &scene.room, "m.room.name", "").await;
    assert_ne!(old, renamed);
    let twice = |it: &mut Value| it["state"].as_array_mut().expect("a list").push(renamed);
    scene.refuses(twice, "two events take the same place of the state").await;
    scene.alice.say(&scene.room, "no state").await;
    let ends = RoomEnds::of(&scene.there, &scene.room).await;
    let room = RoomId::parse(&scene.room).expect("a room id");
    let message = scene.there.running().rooms().with_view(&room, move |view| {
        let last = ends.prev_events.first().expect("an end");
        Ok::<_, StorageError>(json_of(&view.event_by_id(last)?.expect("stored").pdu))
    });
    let message = message.await.expect("read").expect("a room");
    let said = |it: &mut Value| it["state"].as_array_mut().expect("a list").push(message);
    scene.refuses(said, "an event of the state is no state event").await;
    scene.lets_an_honest_room_in().await;
}

#[tokio::test]
async fn refuses_more_than_a_room_may_have_and_less_than_all_of_it() {
    let scene = scene().await;
    let many = |it: &mut Value| it["state"] = json!(vec![json!({}); JOIN_ANSWER_EVENTS_MAX + 1]);
    scene.refuses(many, "too many events").await;
    let many =
        |it: &mut Value| it["auth_chain"] = json!(vec![json!({}); JOIN_ANSWER_EVENTS_MAX + 1]);
    scene.refuses(many, "too many events").await;
    scene.refuses(|it| it["members_omitted"] = json!(true), "without its members").await;
    scene.lets_an_honest_room_in().await;
}

#[tokio::test]
async fn refuses_another_join_in_place_of_ours() {
    let scene = scene().await;
    let alice = scene.alice.user_id.clone();
    let hers = state_event(&scene.there, &scene.room, "m.room.member", &alice).await;
    scene.refuses(|it| it["event"] = hers, "another join than ours came back").await;
    scene.lets_an_honest_room_in().await;
}

/// Identifiers are hashes, so events cannot authorize each other in a circle; what comes nearest is an
/// event that names one that names it, as far as somebody says.
#[tokio::test]
async fn events_that_are_said_to_authorize_each_other_are_left_out() {
    let scene = scene().await;
    let name = state_event(&scene.there, &scene.room, "m.room.name", "").await;
    let circle = |it: &mut Value| {
        for list in ["state", "auth_chain"] {
            let events = it[list].as_array_mut().expect("a list");
            for event in events.iter_mut().filter(|event| event["type"] == "m.room.power_levels") {
                event["auth_events"].as_array_mut().expect("a list").push(json!("$circle"));
            }
        }
        let mut first = name.clone();
        first["auth_events"] = json!(["$circle"]);
        it["auth_chain"].as_array_mut().expect("a list").push(first);
    };
    scene.refuses(circle, "the event names events nobody knows here").await;
    scene.lets_an_honest_room_in().await;
}
