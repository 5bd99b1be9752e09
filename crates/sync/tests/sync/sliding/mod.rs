//! Sliding sync: connections, windows, rooms and what is beside them.

mod beside;
mod connections;
mod rooms;
mod windows;

use std::{sync::Arc, time::Duration};

use ruma::RoomId;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use vestibule_sync::{SlidingError, SlidingRequest, Sync};
use vestibule_types::Actor;

use crate::support::{House, LONG};

/// A client on one connection, with the request it repeats.
pub(crate) struct Client {
    pub(crate) who: Actor,
    pub(crate) body: Value,
    pub(crate) pos: Option<String>,
}

impl Client {
    pub(crate) fn new(who: &Actor, body: Value) -> Self {
        Self { who: who.clone(), body, pos: None }
    }

    /// A client with one list of all rooms.
    pub(crate) fn of_all(who: &Actor, timeline_limit: u64, state: &[(&str, &str)]) -> Self {
        Self::new(
            who,
            json!({ "lists": { "all": {
            "ranges": [[0, 99]], "timeline_limit": timeline_limit, "required_state": state,
        } } }),
        )
    }

    pub(crate) fn request(&self, timeout: Duration) -> SlidingRequest {
        let body: SlidingRequest = serde_json::from_value(self.body.clone()).expect("a request");
        SlidingRequest { pos: self.pos.clone(), timeout, ..body }
    }

    /// Asks without taking the answer for received.
    pub(crate) async fn ask(&self, sync: &Sync) -> Result<Value, SlidingError> {
        let response = sync.sliding_sync(&self.who, self.request(Duration::ZERO)).await?;
        Ok(serde_json::to_value(response).expect("JSON"))
    }

    /// Asks, and goes on from the answer.
    pub(crate) async fn next(&mut self, house: &House) -> Value {
        let answer = self.ask(&house.sync).await.expect("an answer");
        self.has(&answer);
        answer
    }

    pub(crate) fn has(&mut self, answer: &Value) {
        self.pos = Some(answer["pos"].as_str().expect("a position").to_owned());
    }

    /// Waits for news.
    pub(crate) async fn parked(&self, house: &Arc<House>) -> JoinHandle<Value> {
        let (house, who, request) = (Arc::clone(house), self.who.clone(), self.request(LONG));
        #[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
        let waiting = tokio::spawn(async move {
            let response = house.sync.sliding_sync(&who, request).await.expect("an answer");
            serde_json::to_value(response).expect("JSON")
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        waiting
    }
}

pub(crate) async fn woken(waiting: JoinHandle<Value>) -> Value {
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("woken").expect("answered")
}

pub(crate) fn room<'a>(answer: &'a Value, room: &RoomId) -> &'a Value {
    &answer["rooms"][room.as_str()]
}

/// The rooms of an answer, in no order.
pub(crate) fn rooms(answer: &Value) -> Vec<&str> {
    answer["rooms"].as_object().expect("rooms").keys().map(String::as_str).collect()
}

/// The bodies of the messages of a room.
pub(crate) fn said(room: &Value) -> Vec<&str> {
    let events = room["timeline"].as_array().into_iter().flatten();
    events.filter_map(|event| event["content"]["body"].as_str()).collect()
}

/// Type and state key of the state of a room.
pub(crate) fn state(room: &Value) -> Vec<(&str, &str)> {
    let events = room["required_state"].as_array().into_iter().flatten();
    events.map(|event| (text(&event["type"]), text(&event["state_key"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
