//! A server at home, and one elsewhere that keeps its own graph of a room and answers from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use vestibule_events::Pdu;
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, Reply, RoomEnds, TestServer, segment, texts,
};

/// What the server elsewhere knows of events, and how it behaves.
#[derive(Default)]
pub(crate) struct Graph {
    events: BTreeMap<String, Pdu>,
    /// The state before each event, as ids.
    before: BTreeMap<String, Vec<String>>,
    /// Endpoints that answer 404.
    pub(crate) mute: BTreeSet<&'static str>,
    /// The endpoints that were asked, in order.
    pub(crate) asked: Vec<&'static str>,
    /// Answers of its own, by endpoint, in place of those from the graph.
    pub(crate) instead: BTreeMap<&'static str, Box<dyn FnMut() -> Value + Send>>,
}

type Shared = Arc<Mutex<Graph>>;

/// The server elsewhere.
pub(crate) struct Away {
    pub(crate) server: PretendServer,
    pub(crate) graph: Shared,
    transactions: u32,
}

/// A room of alice's at home, with eve of the server elsewhere in it.
pub(crate) struct Scene {
    pub(crate) network: Network,
    pub(crate) home: TestServer,
    pub(crate) alice: Person,
    pub(crate) room: String,
    pub(crate) away: Away,
    pub(crate) eve: ruma::OwnedUserId,
}

pub(crate) async fn scene() -> Scene {
    scene_of(Blueprint::default(), "11").await
}

pub(crate) async fn scene_of(blueprint: Blueprint, version: &str) -> Scene {
    let network = Network::new();
    let home = blueprint.on(&network, "home.example").start().await;
    let away = Away::on(&network, "away.example");
    let alice = home.register("alice").await;
    let options = json!({
        "preset": "public_chat",
        "room_version": version,
        "power_level_content_override": { "users": { alice.user_id.clone(): 100, "@eve:away.example": 50 } },
    });
    let options = if version == "12" {
        json!({
            "preset": "public_chat",
            "room_version": "12",
            "power_level_content_override": { "users": { "@eve:away.example": 50 } },
        })
    } else {
        options
    };
    let room = alice.create_room(&options).await;
    let eve = away.server.slip_in(&home, &room, "eve").await;
    let mut scene = Scene { network, home, alice, room, away, eve };
    scene.learn().await;
    scene
}

impl Scene {
    /// The server elsewhere learns what home has.
    pub(crate) async fn learn(&mut self) {
        let room_id = ruma::RoomId::parse(&self.room).expect("a room");
        let looked = self.home.running().rooms().with_view(&room_id, |view| {
            let mut known = Vec::new();
            for (_, no) in view.timeline_forward(None, None, usize::MAX)? {
                let event = view.event(no)?.expect("stored");
                let around = view.around(no)?.expect("judged");
                let mut before = Vec::new();
                for no in view.full_state(around.value.before, None)?.into_values() {
                    before.push(view.event(no)?.expect("stored").pdu.event_id().to_string());
                }
                known.push(((*event.pdu).clone(), before));
            }
            Ok::<_, vestibule_storage::StorageError>(known)
        });
        let mut graph = self.away.graph.lock().await;
        for (pdu, before) in looked.await.expect("read").expect("a room") {
            graph.before.insert(pdu.event_id().to_string(), before);
            graph.events.insert(pdu.event_id().to_string(), pdu);
        }
    }

    /// Where the room goes on.
    pub(crate) async fn ends(&self) -> RoomEnds {
        RoomEnds::of(&self.home, &self.room).await
    }

    /// An event of eve's, which the server elsewhere keeps.
    pub(crate) async fn event(
        &self,
        ends: &RoomEnds,
        place: (&str, Option<&str>),
        content: &Value,
    ) -> Pdu {
        let pdu = self.away.server.event(ends, &self.eve, place, content);
        self.away.keep(ends, &pdu).await;
        pdu
    }

    /// A message of eve's.
    pub(crate) async fn message(&self, ends: &RoomEnds, text: &str) -> Pdu {
        let content = json!({ "msgtype": "m.text", "body": text });
        self.event(ends, ("m.room.message", None), &content).await
    }

    /// A row of messages, each after the one before.
    pub(crate) async fn messages(&self, mut ends: RoomEnds, texts: &[&str]) -> Vec<Pdu> {
        let mut pdus = Vec::new();
        for text in texts {
            let pdu = self.message(&ends, text).await;
            ends = ends.after(&pdu);
            pdus.push(pdu);
        }
        pdus
    }

    /// Sends events and returns what each was answered, by id.
    pub(crate) async fn send(&mut self, pdus: &[Pdu]) -> Value {
        let pdus = pdus.iter().map(json_of).collect();
        self.send_json(pdus).await.ok()["pdus"].clone()
    }

    /// Sends whatever as events.
    pub(crate) async fn send_json(&mut self, pdus: Vec<Value>) -> Reply {
        let id = self.away.next_id();
        self.away.transaction(&self.home, &id, json!({ "pdus": pdus })).await
    }

    /// Sends messages that pass.
    pub(crate) async fn pass(&mut self, edus: Vec<Value>) -> Reply {
        let id = self.away.next_id();
        self.away.transaction(&self.home, &id, json!({ "pdus": [], "edus": edus })).await
    }

    /// The texts alice reads, oldest first.
    pub(crate) async fn read(&self) -> Vec<String> {
        let page = self.alice.of_room(&self.room, "messages?dir=f&limit=1000").await.ok();
        texts(&page["chunk"])
    }

    /// Waits until alice reads a text; events that lacked something arrive a moment after the answer.
    pub(crate) async fn read_soon(&self, text: &str) -> Vec<String> {
        let mut read = Vec::new();
        for _ in 0..200 {
            read = self.read().await;
            if read.iter().any(|it| it == text) {
                return read;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{text:?} was never shown: {read:?}");
    }

    /// The room goes on: from here and from elsewhere.
    pub(crate) async fn still_works(&mut self, words: &str) {
        let here = format!("{words}, said here");
        self.alice.say(&self.room, &here).await;
        let there = format!("{words}, said elsewhere");
        let next = self.message(&self.ends().await, &there).await;
        let answers = self.send(std::slice::from_ref(&next)).await;
        assert_eq!(answers, json!({ next.event_id().as_str(): {} }), "{words}");
        let read = self.read_soon(&there).await;
        assert!(read.contains(&here), "{read:?}");
    }

    /// How often an endpoint of the server elsewhere was asked.
    pub(crate) async fn asked(&self, endpoint: &str) -> usize {
        self.away.graph.lock().await.asked.iter().filter(|it| **it == endpoint).count()
    }
}

pub(crate) fn json_of(pdu: &Pdu) -> Value {
    serde_json::from_slice(pdu.json()).expect("JSON")
}

/// What was answered for one event: nothing, or an error.
pub(crate) fn error_of<'a>(answers: &'a Value, pdu: &Pdu) -> Option<&'a str> {
    let answer = &answers[pdu.event_id().as_str()];
    assert!(answer.is_object(), "no answer for {}: {answers}", pdu.event_id());
    answer["error"].as_str()
}

impl Away {
    pub(crate) fn on(network: &Network, name: &str) -> Self {
        let graph = Shared::default();
        let v1 = "/_matrix/federation/v1";
        let router = Router::new()
            .route(&format!("{v1}/event/{{id}}"), get(event))
            .route(&format!("{v1}/state_ids/{{room}}"), get(state_ids))
            .route(&format!("{v1}/state/{{room}}"), get(state))
            .route(&format!("{v1}/event_auth/{{room}}/{{id}}"), get(event_auth))
            .route(&format!("{v1}/get_missing_events/{{room}}"), post(missing))
            // What home sends is taken and forgotten.
            .route(&format!("{v1}/send/{{id}}"), put(|| async { Json(json!({ "pdus": {} })) }))
            .with_state(graph.clone());
        Self { server: PretendServer::answering(network, name, router), graph, transactions: 0 }
    }

    /// Remembers an event and the state before it.
    pub(crate) async fn keep(&self, ends: &RoomEnds, pdu: &Pdu) {
        let mut graph = self.graph.lock().await;
        let before = ends.state.values().map(ToString::to_string).collect();
        graph.before.insert(pdu.event_id().to_string(), before);
        graph.events.insert(pdu.event_id().to_string(), pdu.clone());
    }

    pub(crate) fn next_id(&mut self) -> String {
        self.transactions += 1;
        format!("t{}", self.transactions)
    }

    /// Sends a transaction under an id of one's own.
    pub(crate) async fn transaction(&self, to: &TestServer, id: &str, with: Value) -> Reply {
        let mut body = json!({ "origin": self.server.name(), "origin_server_ts": 1 });
        for (key, value) in with.as_object().expect("an object") {
            body[key] = value.clone();
        }
        let path = format!("/_matrix/federation/v1/send/{}", segment(id));
        self.server.put(to, &path, &body).await
    }
}

impl Graph {
    fn open(&mut self, endpoint: &'static str) -> Result<Option<Value>, Response> {
        self.asked.push(endpoint);
        if self.mute.contains(endpoint) {
            let body = json!({ "errcode": "M_NOT_FOUND", "error": "not here" });
            return Err((StatusCode::NOT_FOUND, Json(body)).into_response());
        }
        Ok(self.instead.get_mut(endpoint).map(|answer| answer()))
    }

    fn pdu(&self, id: &str) -> Result<Value, Response> {
        let not_found = || {
            let body = json!({ "errcode": "M_NOT_FOUND", "error": "no such event" });
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        };
        self.events.get(id).map(json_of).ok_or_else(not_found)
    }

    /// Everything that authorizes these events, and so on.
    fn chain(&self, of: &[String]) -> BTreeSet<String> {
        let mut chain = BTreeSet::new();
        let mut open: Vec<String> = of.to_vec();
        while let Some(id) = open.pop() {
            let Some(pdu) = self.events.get(&id) else { continue };
            for auth in pdu.auth_events() {
                if chain.insert(auth.to_string()) {
                    open.push(auth.to_string());
                }
            }
        }
        chain
    }
}

#[derive(serde::Deserialize)]
struct At {
    event_id: String,
}

type Answer = Result<Json<Value>, Response>;

async fn event(State(graph): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut graph = graph.lock().await;
    let answer = match graph.open("event")? {
        Some(pdu) => pdu,
        None => graph.pdu(&id)?,
    };
    Ok(Json(json!({ "origin": "away.example", "origin_server_ts": 1, "pdus": [answer] })))
}

async fn state_ids(State(graph): State<Shared>, Query(at): Query<At>) -> Answer {
    let mut graph = graph.lock().await;
    if let Some(answer) = graph.open("state_ids")? {
        return Ok(Json(answer));
    }
    graph.pdu(&at.event_id)?;
    let state = graph.before.get(&at.event_id).cloned().unwrap_or_default();
    let chain = graph.chain(&state);
    Ok(Json(json!({ "pdu_ids": state, "auth_chain_ids": chain })))
}

async fn state(State(graph): State<Shared>, Query(at): Query<At>) -> Answer {
    let mut graph = graph.lock().await;
    if let Some(answer) = graph.open("state")? {
        return Ok(Json(answer));
    }
    graph.pdu(&at.event_id)?;
    let state = graph.before.get(&at.event_id).cloned().unwrap_or_default();
    let pdus: Vec<Value> = state.iter().filter_map(|id| graph.pdu(id).ok()).collect();
    let chain: Vec<Value> =
        graph.chain(&state).iter().filter_map(|id| graph.pdu(id).ok()).collect();
    Ok(Json(json!({ "pdus": pdus, "auth_chain": chain })))
}

async fn event_auth(State(graph): State<Shared>, Path((_, id)): Path<(String, String)>) -> Answer {
    let mut graph = graph.lock().await;
    if let Some(answer) = graph.open("event_auth")? {
        return Ok(Json(answer));
    }
    let chain: Vec<Value> = graph.chain(&[id]).iter().filter_map(|id| graph.pdu(id).ok()).collect();
    Ok(Json(json!({ "auth_chain": chain })))
}

async fn missing(State(graph): State<Shared>, Json(body): Json<Value>) -> Answer {
    let mut graph = graph.lock().await;
    if let Some(answer) = graph.open("missing")? {
        return Ok(Json(answer));
    }
    let ids = |key: &str| -> Vec<String> {
        serde_json::from_value(body[key].clone()).expect("a list of ids")
    };
    let limit = usize::try_from(body["limit"].as_u64().unwrap_or(10)).expect("small");
    let mut known: BTreeSet<String> = ids("earliest_events").into_iter().collect();
    let (mut open, mut found) = (ids("latest_events"), Vec::new());
    known.extend(open.clone());
    while let Some(id) = open.pop() {
        let Some(pdu) = graph.events.get(&id).cloned() else { continue };
        for prev in pdu.prev_events() {
            if known.insert(prev.to_string()) && found.len() < limit {
                found.extend(graph.pdu(prev.as_str()).ok());
                open.insert(0, prev.to_string());
            }
        }
    }
    found.reverse();
    Ok(Json(json!({ "events": found })))
}
