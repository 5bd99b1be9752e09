//! Push gateways: what they are told, and what happens when they fail. They listen on loopback, which
//! the configuration of the tests permits.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests fail the test that called them, and a gateway needs no tracker"
)]

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use parking_lot::Mutex;
use ruma::ServerName;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use vestibule_testkit::server::{Blueprint, Network, Person, TestServer, segment};

const PATH: &str = "/_matrix/push/v1/notify";
const SET: &str = "/_matrix/client/v3/pushers/set";

/// Longer than anything in these tests may take.
const LONG: Duration = Duration::from_mins(1);

/// A push gateway that keeps what it is told, and answers as planned; then, that all is well. While it
/// is down, it takes nothing.
struct Gateway {
    address: SocketAddr,
    told: mpsc::UnboundedReceiver<(u16, Value)>,
    plan: Plan,
    router: Router,
    task: JoinHandle<()>,
}

type Plan = Arc<Mutex<Planned>>;

#[derive(Default)]
struct Planned {
    answers: VecDeque<(u16, Value)>,
    down: bool,
}

type Desk = (mpsc::UnboundedSender<(u16, Value)>, Plan);

impl Gateway {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, told) = mpsc::unbounded_channel();
        let (address, plan) = (listener.local_addr().unwrap(), Plan::default());
        let router = Router::new().route(PATH, post(take)).with_state((sender, plan.clone()));
        let served = router.clone();
        let task = tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        Self { address, told, plan, router, task }
    }

    /// The same for servers that reach everything over a network in memory.
    async fn on(network: &Network) -> Self {
        let gateway = Self::open().await;
        let name = ServerName::parse(gateway.address.to_string()).unwrap();
        network.attach(&name, gateway.router.clone());
        gateway
    }

    /// Plans the next answer.
    fn answers(&self, status: u16, body: Value) {
        self.plan.lock().answers.push_back((status, body));
    }

    fn goes_down(&self) {
        self.plan.lock().down = true;
    }

    fn comes_up(&self) {
        self.plan.lock().down = false;
    }

    /// The next thing it is told.
    async fn next(&mut self) -> Value {
        self.heard().await.1
    }

    /// The next thing it is told and takes.
    async fn taken(&mut self) -> Value {
        loop {
            let (status, told) = self.heard().await;
            if status == 200 {
                return told;
            }
        }
    }

    async fn heard(&mut self) -> (u16, Value) {
        let told = timeout(LONG, self.told.recv()).await.expect("the gateway is told something");
        let (status, body) = told.unwrap();
        (status, body["notification"].clone())
    }

    /// A pusher that calls it.
    fn pusher(&self, key: &str, more: &Value) -> Value {
        let mut data = json!({ "url": format!("http://{}{PATH}", self.address) });
        data.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        json!({
            "app_id": "org.example.app", "pushkey": key, "kind": "http", "data": data,
            "app_display_name": "App", "device_display_name": "Phone", "lang": "en",
        })
    }

    async fn set_for(&self, who: &Person, key: &str) {
        who.http().post(SET, &self.pusher(key, &json!({}))).await.ok();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    State((sender, plan)): State<Desk>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let (status, answer) = {
        let mut plan = plan.lock();
        let planned = plan.answers.pop_front();
        let usual = if plan.down { 503 } else { 200 };
        planned.unwrap_or((usual, json!({ "rejected": [] })))
    };
    // The test may be over.
    let _: Result<(), _> = sender.send((status, body));
    (StatusCode::from_u16(status).unwrap(), Json(answer))
}

fn blueprint() -> Blueprint {
    Blueprint::default()
        .with("[push]\nallowed_networks = [\"127.0.0.0/8\"]\nplain_http = true\n")
        .slots(3)
}

/// Alice and Bob in a room of Alice's, with Carol so that it is no direct one.
async fn company(server: &TestServer) -> (Person, Person, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let name = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    alice.http().put(&name, &json!({ "displayname": "Alice" })).await.ok();
    let room = alice.create_room(&json!({ "preset": "public_chat", "name": "Tea" })).await;
    bob.join(&room).await.ok();
    server.register("carol").await.join(&room).await.ok();
    (alice, bob, room)
}

async fn read_up_to(who: &Person, room: &str, event: &str) {
    who.in_room(room, &format!("receipt/m.read/{}", segment(event)), &json!({})).await.ok();
}

async fn keys(who: &Person) -> Vec<String> {
    let pushers = who.http().get("/_matrix/client/v3/pushers").await.ok();
    let pushers = pushers["pushers"].as_array().unwrap().clone();
    pushers.iter().map(|it| it["pushkey"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_told_of_an_event_with_what_it_is_about() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    alice.say(&room, "before there was a pusher").await;
    let pusher = gateway.pusher("key", &json!({ "org.example": { "more": 1 } }));
    bob.http().post(SET, &pusher).await.ok();
    bob.say(&room, "my own").await;
    let content = json!({
        "msgtype": "m.text", "body": "hello", "m.mentions": { "user_ids": [bob.user_id] },
    });
    let event = alice.send(&room, "m.room.message", &content).await.ok()["event_id"].clone();

    let mut told = gateway.next().await;
    let device = &mut told["devices"][0];
    assert!(device["pushkey_ts"].as_u64().unwrap() > 1_700_000_000, "{device}");
    device.as_object_mut().unwrap().remove("pushkey_ts");
    let expected = json!({
        "event_id": event,
        "room_id": room,
        "type": "m.room.message",
        "sender": alice.user_id,
        "sender_display_name": "Alice",
        "room_name": "Tea",
        "prio": "high",
        "content": content,
        "counts": { "unread": 1 },
        "devices": [{
            "app_id": "org.example.app",
            "pushkey": "key",
            "data": { "org.example": { "more": 1 } },
            "tweaks": { "sound": "default", "highlight": true },
        }],
    });
    assert_eq!(told, expected);

    alice.say(&room, "plain").await;
    let told = gateway.next().await;
    assert_eq!((&told["prio"], &told["counts"]), (&json!("low"), &json!({ "unread": 2 })));
    assert_eq!(told["devices"][0]["tweaks"], json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_wants_identifiers_only_gets_no_more() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    let pusher = gateway.pusher("key", &json!({ "format": "event_id_only" }));
    bob.http().post(SET, &pusher).await.ok();
    let event = alice.say(&room, "secret").await;
    let told = gateway.next().await;
    assert_eq!(told["event_id"], event);
    assert_eq!(told["devices"][0]["data"], json!({ "format": "event_id_only" }));
    let mut fields: Vec<&String> = told.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["counts", "devices", "event_id", "prio", "room_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_told_to_who_is_invited() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, _) = company(&server).await;
    gateway.set_for(&bob, "key").await;
    let room = alice.create_room(&json!({ "preset": "private_chat" })).await;
    alice.invite(&room, &bob.user_id).await.ok();
    let told = gateway.next().await;
    assert_eq!((&told["type"], &told["user_is_target"]), (&json!("m.room.member"), &json!(true)));
    assert_eq!(told["content"]["membership"], "invite");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_to_a_room_elsewhere_is_told_too() {
    let network = Network::new();
    let a = Blueprint::default().on(&network, "a.example").start().await;
    let b = blueprint().on(&network, "b.example").start().await;
    let mut gateway = Gateway::on(&network).await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    gateway.set_for(&bob, "key").await;
    let room = alice.create_room(&json!({ "preset": "private_chat", "name": "Far" })).await;
    alice.invite(&room, &bob.user_id).await.ok();
    let told = gateway.next().await;
    assert_eq!((&told["type"], &told["user_is_target"]), (&json!("m.room.member"), &json!(true)));
    assert_eq!((&told["room_id"], &told["room_name"]), (&json!(room), &json!("Far")));
    assert_eq!((&told["sender"], &told["prio"]), (&json!(alice.user_id), &json!("high")));
    let listed = bob.http().get("/_matrix/client/v3/notifications").await.ok();
    let listed = &listed["notifications"][0];
    assert_eq!((&listed["room_id"], &listed["event"]["type"]), (&json!(room), &told["type"]));
    bob.join_by_id(&room).await.ok();
    let event = alice.say(&room, "welcome").await;
    assert_eq!(gateway.next().await["event_id"], event, "and so is what is said there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_badge_goes_away_on_all_devices_when_one_reads() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "one").await;
    gateway.set_for(&server.login("bob").await, "two").await;
    let event = alice.say(&room, "hello").await;
    for _ in 0..2 {
        assert_eq!(gateway.next().await["event_id"], event);
    }
    read_up_to(&bob, &room, &event).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let notice = gateway.next().await;
        assert_eq!(notice["counts"], json!({ "unread": 0 }));
        assert!(notice.get("event_id").is_none(), "{notice}");
        told.push(notice["devices"][0]["pushkey"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["one", "two"]);
    // What is read already is told to nobody: the next thing is the next message.
    read_up_to(&bob, &room, &event).await;
    let event = alice.say(&room, "again").await;
    assert_eq!(gateway.next().await["event_id"], event);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_did_not_take_is_told_again() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "key").await;
    gateway.answers(502, json!({}));
    let event = alice.say(&room, "hello").await;
    for _ in 0..2 {
        assert_eq!(gateway.next().await["event_id"], event);
    }
    let next = alice.say(&room, "next").await;
    assert_eq!(gateway.next().await["event_id"], next, "what was taken is not told again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_only_the_newest_of_a_room_is_told() {
    let server = blueprint().start().await;
    let (mut gateway, mut other) = (Gateway::open().await, Gateway::open().await);
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "key").await;
    other.set_for(&bob, "other").await;
    gateway.goes_down();
    for text in ["one", "two", "three"] {
        alice.say(&room, text).await;
    }
    let last = alice.say(&room, "four").await;
    // What is queued for one pusher is queued for the other.
    while other.next().await["event_id"] != last {}
    gateway.comes_up();
    assert_eq!(gateway.taken().await["event_id"], last);
    let next = alice.say(&room, "five").await;
    assert_eq!(gateway.taken().await["event_id"], next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_or_is_not_wanted_any_more_is_not_told() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    let elsewhere = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&elsewhere).await.ok();
    gateway.set_for(&bob, "key").await;
    gateway.goes_down();
    let other = alice.create_room(&json!({ "preset": "private_chat" })).await;
    alice.invite(&other, &bob.user_id).await.ok();
    assert_eq!(gateway.next().await["type"], "m.room.member");
    let path =
        format!("/_matrix/client/v3/user/{}/account_data/m.invite_permission_config", bob.user_id);
    bob.http().put(&path, &json!({ "default_action": "block" })).await.ok();
    alice.say(&room, "a question").await;
    bob.say(&room, "an answer").await;
    let next = alice.say(&elsewhere, "something else").await;
    gateway.comes_up();
    // That less is unread may be told before there is another event to tell.
    let mut told = gateway.taken().await;
    while told["event_id"].is_null() {
        assert_eq!((&told["type"], &told["room_id"]), (&Value::Null, &Value::Null));
        told = gateway.taken().await;
    }
    assert_eq!(told["event_id"], next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushkey_that_a_gateway_rejects_is_gone() {
    let server = blueprint().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "good").await;
    gateway.answers(200, json!({ "rejected": ["another"] }));
    alice.say(&room, "one").await;
    gateway.next().await;
    assert_eq!(keys(&bob).await, ["good"]);
    gateway.answers(200, json!({ "rejected": ["good"] }));
    alice.say(&room, "two").await;
    gateway.next().await;
    let gone = async {
        while !keys(&bob).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.expect("the pusher is removed");
    let mut other = Gateway::open().await;
    other.set_for(&bob, "new").await;
    let third = alice.say(&room, "three").await;
    assert_eq!(other.next().await["event_id"], third);
    assert!(gateway.told.try_recv().is_err(), "nothing more is told to a pushkey that is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_gateway_survives_a_restart() {
    let server = blueprint().on_disk().start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "key").await;
    gateway.goes_down();
    let event = alice.say(&room, "hello").await;
    assert_eq!(gateway.next().await["event_id"], event);
    let server = server.restart().await;
    gateway.comes_up();
    assert_eq!(gateway.taken().await["event_id"], event);
    let next = server.login("alice").await.say(&room, "after it").await;
    assert_eq!(gateway.taken().await["event_id"], next, "what was taken is not told again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_in_a_private_network_is_not_called() {
    let server = Blueprint::default().with("[push]\nplain_http = true\n").start().await;
    let mut gateway = Gateway::open().await;
    let (alice, bob, room) = company(&server).await;
    gateway.set_for(&bob, "key").await;
    alice.say(&room, "hello").await;
    // Nobody else in this process names an address that may not be reached.
    let refused = async {
        loop {
            let metrics = server.http().get("/metrics").await.body;
            let metrics = metrics.as_str().unwrap_or_default().to_owned();
            if metrics.contains("vestibule_push_requests_total{outcome=\"refused\"}") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, refused).await.expect("the gateway is tried");
    assert!(gateway.told.try_recv().is_err());
}
