//! Two servers, with somebody on each.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Network, Person, Reply, TestServer, segment, texts};

pub(crate) const V3: &str = "/_matrix/client/v3";

/// How long something may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two servers, with somebody on each.
pub(crate) struct Two {
    pub(crate) network: Network,
    pub(crate) a: TestServer,
    pub(crate) b: TestServer,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
}

impl Two {
    pub(crate) async fn new() -> Self {
        Self::like(Blueprint::default()).await
    }

    pub(crate) async fn like(blueprint: Blueprint) -> Self {
        let network = Network::new();
        let a = blueprint.clone().on(&network, "a.example").start().await;
        let b = blueprint.on(&network, "b.example").start().await;
        let (alice, bob) = (a.register("alice").await, b.register("bob").await);
        Self { network, a, b, alice, bob }
    }

    /// A public room that alice made and bob is in.
    pub(crate) async fn room(&self) -> String {
        let room = self.alice.create_room(&json!({ "preset": "public_chat" })).await;
        join(&self.bob, &room, "a.example").await.ok();
        self.in_room(&room, "@bob:b.example").await;
        room
    }

    /// Waits until alice's server knows somebody as joined.
    pub(crate) async fn in_room(&self, room: &str, user: &str) {
        eventually("the join arrives", async || {
            let member = self.alice.state(room, "m.room.member", user).await;
            (member.body["membership"] == "join").then_some(())
        })
        .await;
    }

    /// How many requests of a kind went to a server.
    pub(crate) fn requests(&self, to: &str, kind: &str) -> usize {
        let sent = self.network.sent();
        sent.iter().filter(|it| it.to == to && it.line.contains(kind)).count()
    }
}

/// Joins a room through a server.
pub(crate) async fn join(person: &Person, room: &str, via: &str) -> Reply {
    let path = format!("{V3}/join/{}?via={via}&server_name={via}", segment(room));
    person.http().post(&path, &json!({})).await
}

/// Waits until the question has an answer.
pub(crate) async fn eventually<T>(what: &str, question: impl AsyncFn() -> Option<T>) -> T {
    let ask = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| panic!("{what}: it never did"))
}

/// What somebody is told of a room from a moment on: everything until `enough` of it is there.
pub(crate) async fn told(
    person: &Person,
    room: &str,
    since: &mut String,
    enough: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    let listen = async {
        while !enough(&events) {
            let filter = segment(&json!({ "room": { "timeline": { "limit": 500 } } }).to_string());
            let path = format!("{V3}/sync?timeout=2000&filter={filter}&since={}", segment(since));
            let told = person.http().get(&path).await.ok();
            told["next_batch"].as_str().expect("a token").clone_into(since);
            let timeline = &told["rooms"]["join"][room]["timeline"]["events"];
            events.extend(timeline.as_array().cloned().unwrap_or_default());
        }
    };
    let heard = tokio::time::timeout(PATIENCE, listen).await;
    assert!(heard.is_ok(), "not enough was told: {events:?}");
    events
}

/// Waits until somebody was told so many messages of a room, and returns their texts.
pub(crate) async fn hears(
    person: &Person,
    room: &str,
    since: &mut String,
    count: usize,
) -> Vec<String> {
    let enough = |events: &[Value]| texts(&json!(events)).len() >= count;
    texts(&json!(told(person, room, since, enough).await))
}

/// A sync token for now.
pub(crate) async fn now(person: &Person) -> String {
    person.sync("").await["next_batch"].as_str().expect("a token").to_owned()
}
