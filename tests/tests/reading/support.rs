//! A server with a room, and another server that asks about it.

use http::Method;
use serde_json::{Value, json};
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, Reply, TestServer, segment,
};

pub(crate) const V1: &str = "/_matrix/federation/v1";

/// One server here, a pretended one away, and somebody who makes rooms here.
pub(crate) struct Scene {
    pub(crate) server: TestServer,
    pub(crate) away: PretendServer,
    pub(crate) alice: Person,
}

/// A request about a room: what it is called, and how it is written.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// A scene under some more configuration.
    pub(crate) async fn with(sections: &str) -> Self {
        let network = Network::new();
        let blueprint = Blueprint::default().with(sections);
        let server = blueprint.on(&network, "home.test").start().await;
        let away = PretendServer::on(&network, "away.test");
        let alice = server.register("alice").await;
        Self { server, away, alice }
    }

    /// A public room, so that people of other servers can slip in.
    pub(crate) async fn room(&self) -> String {
        self.alice.create_room(&json!({ "preset": "public_chat" })).await
    }

    /// A public room whose history is visible as this says from its beginning.
    pub(crate) async fn room_visible_to(&self, visibility: &str) -> String {
        let history = json!({
            "type": "m.room.history_visibility",
            "state_key": "",
            "content": { "history_visibility": visibility },
        });
        let options = json!({ "preset": "public_chat", "initial_state": [history] });
        self.alice.create_room(&options).await
    }

    /// The other server's `GET` below the version prefix.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.away.get(&self.server, &format!("{V1}/{path}")).await
    }

    pub(crate) async fn ask(&self, question: &Question) -> Reply {
        let Question { method, path, body, .. } = question;
        self.away.ask(&self.server, method.clone(), path, body.as_ref()).await
    }

    pub(crate) async fn event(&self, event: &str) -> Reply {
        self.get(&format!("event/{}", segment(event))).await
    }

    pub(crate) async fn backfill(&self, room: &str, from: &[&str], limit: usize) -> Reply {
        let from: Vec<String> = from.iter().map(|event| format!("v={}", segment(event))).collect();
        let from = from.join("&");
        self.get(&format!("backfill/{}?{from}&limit={limit}", segment(room))).await
    }

    pub(crate) async fn missing(&self, room: &str, body: &Value) -> Reply {
        let path = format!("{V1}/get_missing_events/{}", segment(room));
        self.away.post(&self.server, &path, body).await
    }

    pub(crate) async fn state_ids(&self, room: &str, event: &str) -> Reply {
        self.get(&format!("state_ids/{}?event_id={}", segment(room), segment(event))).await
    }

    pub(crate) async fn event_auth(&self, room: &str, event: &str) -> Reply {
        self.get(&format!("event_auth/{}/{}", segment(room), segment(event))).await
    }
}

/// Every question that names a room, asked about one of its events.
pub(crate) fn questions(room: &str, event: &str) -> Vec<Question> {
    let (room, id) = (segment(room), segment(event));
    let get = |name, path: String| Question {
        name,
        method: Method::GET,
        path: format!("{V1}/{path}"),
        body: None,
    };
    vec![
        get("backfill", format!("backfill/{room}?v={id}&limit=10")),
        get("state", format!("state/{room}?event_id={id}")),
        get("state_ids", format!("state_ids/{room}?event_id={id}")),
        get("event_auth", format!("event_auth/{room}/{id}")),
        get("timestamp_to_event", format!("timestamp_to_event/{room}?ts=0&dir=f")),
        Question {
            name: "get_missing_events",
            method: Method::POST,
            path: format!("{V1}/get_missing_events/{room}"),
            body: Some(json!({ "earliest_events": [], "latest_events": [event], "limit": 20 })),
        },
    ]
}

/// The bodies of the messages among events, and `null` for those whose content is gone.
pub(crate) fn bodies(pdus: &Value) -> Vec<Value> {
    let messages = pdus.as_array().expect("events").iter();
    let messages = messages.filter(|pdu| pdu["type"] == "m.room.message");
    messages.map(|pdu| pdu["content"]["body"].clone()).collect()
}
