//! Looking for what was acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use anyhow::Result;
use serde_json::Value;

use super::worker::{Spell, Worker};
use vestibule_types::segment;

use crate::{client::Client, matrix::Api};

/// State without which a created room is half written.
const COMPLETE: [&str; 7] = [
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.name",
    "m.room.topic",
];

/// The acknowledged messages and rooms of one spell, each asked for by name.
pub(super) async fn spell(
    address: SocketAddr,
    worker: &mut Worker,
    spell: &Spell,
) -> Result<Vec<String>> {
    let mut api = Api::of(address, &worker.user).await?;
    let mut faults = rooms(&mut api, worker, spell).await?;
    for message in &spell.messages {
        let path = format!("{}/event/{}", room_path(&message.room), segment(&message.event_id));
        let found = api.get(&path).await?;
        let body = found.as_ref().and_then(|event| event.pointer("/content/body")?.as_str());
        if body != Some(&message.body) {
            faults
                .push(format!("lost: {} ({}) in {}", message.event_id, message.body, message.room));
        }
    }
    Ok(faults)
}

/// A client that got no answer asks again; `history` then finds out whether that doubled a message.
pub(super) async fn repeat(
    address: SocketAddr,
    worker: &mut Worker,
    spell: &Spell,
) -> Result<Vec<String>> {
    let Some(unanswered) = &spell.unanswered else { return Ok(Vec::new()) };
    let mut client = Client::connect(address).await?;
    let repeated = worker.repeat(&mut client, unanswered).await?;
    Ok(if repeated {
        Vec::new()
    } else {
        vec![format!("{} could not be repeated", unanswered.body)]
    })
}

/// Every acknowledged room is joined; every room beyond the first is complete, acknowledged or not.
async fn rooms(api: &mut Api, worker: &mut Worker, spell: &Spell) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let joined = api.get("/_matrix/client/v3/joined_rooms").await?.unwrap_or_default();
    let joined: BTreeSet<String> = joined
        .get("joined_rooms")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|room| Some(room.as_str()?.to_owned()))
        .collect();
    let known: BTreeSet<_> = worker.rooms.iter().cloned().collect();
    faults.extend(known.difference(&joined).map(|room| format!("lost room: {room}")));
    let unacknowledged: Vec<_> = joined.difference(&known).cloned().collect();
    // A room that is lost is named once, and is not half-written as well.
    let there = spell.rooms.iter().filter(|room| joined.contains(*room));
    for room in unacknowledged.iter().chain(there) {
        let state = api.get(&format!("{}/state", room_path(room))).await?.unwrap_or_default();
        let types: BTreeSet<_> = state
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|event| event.get("type")?.as_str())
            .collect();
        let missing: Vec<_> = COMPLETE.iter().filter(|kind| !types.contains(*kind)).collect();
        if !missing.is_empty() {
            faults.push(format!("half-written room {room}: no {missing:?}"));
        }
    }
    // Known from now on, before the room that is written to.
    worker.rooms.splice(0..0, unacknowledged);
    Ok(faults)
}

/// Every acknowledged message stands in its room's history once, and nothing stands there twice.
pub(super) async fn history(address: SocketAddr, worker: &Worker) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut api = Api::of(address, &worker.user).await?;
    let mut expected: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for message in &worker.messages {
        let pair = (message.event_id.as_str(), message.body.as_str());
        expected.entry(&message.room).or_default().push(pair);
    }
    for (room, messages) in expected {
        let Some(shown) = shown(&mut api, room).await? else {
            faults.push(format!("no history: {room}"));
            continue;
        };
        let events: BTreeSet<_> = shown.iter().map(|(event, _)| event.as_str()).collect();
        let bodies: BTreeSet<_> = shown.iter().map(|(_, body)| body.as_str()).collect();
        if events.len() != shown.len() || bodies.len() != shown.len() {
            faults.push(format!("{room} shows a message twice"));
        }
        for (event, body) in messages {
            if !events.contains(event) || !bodies.contains(body) {
                faults.push(format!("not in the history of {room}: {event} ({body})"));
            }
        }
    }
    Ok(faults)
}

/// Identifier and text of all messages of a room; nothing when it does not show them.
async fn shown(api: &mut Api, room: &str) -> Result<Option<Vec<(String, String)>>> {
    let mut shown = Vec::new();
    let mut from = None::<String>;
    loop {
        let mut path = format!("{}/messages?dir=b&limit=100", room_path(room));
        if let Some(from) = &from {
            path.push_str("&from=");
            path.push_str(&segment(from));
        }
        let Some(page) = api.get(&path).await? else { return Ok(None) };
        let chunk = page.get("chunk").and_then(Value::as_array).cloned().unwrap_or_default();
        for event in &chunk {
            let id = event.get("event_id").and_then(Value::as_str);
            let body = event.pointer("/content/body").and_then(Value::as_str);
            if let (Some(id), Some(body)) = (id, body) {
                shown.push((id.to_owned(), body.to_owned()));
            }
        }
        let end = page.get("end").and_then(Value::as_str).map(str::to_owned);
        if end.is_none() || end == from || chunk.is_empty() {
            return Ok(Some(shown));
        }
        from = end;
    }
}

fn room_path(room: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}", segment(room))
}
