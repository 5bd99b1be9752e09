//! Users of other servers in rooms of the server under test: how they come in, and what they send.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, UInt,
};
use serde::Deserialize;
use serde_json::{Value, json};
use vestibule_events::{EventBuilder, Pdu, RoomVersion};

use super::Peer;
use vestibule_types::segment;

use crate::{client::Client, clock, matrix::accepted};

/// Somebody of another server in a room.
#[derive(Debug)]
pub struct Seat {
    peer: Arc<Peer>,
    user: OwnedUserId,
    room_id: OwnedRoomId,
    version: RoomVersion,
    /// What allows this user to send messages.
    auth: Vec<OwnedEventId>,
    /// What the next event follows.
    prev: Vec<OwnedEventId>,
    depth: u64,
}

/// A request that is written and signed, and how many events are in it.
#[derive(Debug)]
pub struct Transaction {
    /// The bytes.
    pub request: Vec<u8>,
    /// The events in it.
    pub events: usize,
}

/// What a transaction was answered.
#[derive(Debug, Deserialize)]
struct Answered {
    pdus: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Template {
    room_version: RoomVersion,
    event: TemplateEvent,
}

#[derive(Deserialize)]
struct TemplateEvent {
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    depth: u64,
}

#[derive(Deserialize)]
struct LetIn {
    state: Vec<Box<serde_json::value::RawValue>>,
}

impl Seat {
    /// Brings a user of another server into a public room, by both halves of the handshake.
    pub async fn take(
        client: &mut Client,
        peer: &Arc<Peer>,
        localpart: &str,
        room: &str,
    ) -> Result<Self> {
        let user = peer.user(localpart)?;
        let template = template(client, peer, (&user, room)).await?;
        let (version, event) = (template.room_version, template.event);
        let builder = EventBuilder {
            room_id: Some(room.try_into()?),
            sender: user.clone(),
            event_type: "m.room.member".to_owned(),
            state_key: Some(user.to_string()),
            content: content(&json!({ "membership": "join" }))?,
            origin_server_ts: now()?,
            prev_events: event.prev_events,
            auth_events: event.auth_events,
            depth: event.depth,
            redacts: None,
        };
        let join = builder.build_and_sign(version, &peer.key, &peer.name)?;
        let path = format!(
            "/_matrix/federation/v2/send_join/{}/{}",
            segment(room),
            segment(join.event_id().as_str())
        );
        let body: Value = serde_json::from_slice(join.json())?;
        let let_in: LetIn = ask(client, peer, ("PUT", &path), Some(&body)).await?;
        let mut auth = vec![join.event_id().clone()];
        for event in let_in.state {
            let event = Pdu::parse_untrusted(event.get().as_bytes(), version)?;
            let implied = version.room_id_is_create_event();
            if event.is_state_of("m.room.power_levels", "")
                || (!implied && event.is_state_of("m.room.create", ""))
            {
                auth.push(event.event_id().clone());
            }
        }
        Ok(Self {
            peer: Arc::clone(peer),
            user,
            room_id: room.try_into()?,
            version,
            auth,
            prev: vec![join.event_id().clone()],
            depth: join.depth(),
        })
    }

    /// Goes on from the ends the room has on the server under test, as a server does that was told of
    /// everything.
    pub async fn keep_up(&mut self, client: &mut Client) -> Result<()> {
        let event = template(client, &self.peer, (&self.user, self.room_id.as_str())).await?.event;
        self.prev = event.prev_events;
        self.depth = event.depth.saturating_sub(1);
        Ok(())
    }

    /// A message after the last one; it is not sent.
    pub fn message(&mut self, text: &str) -> Result<Pdu> {
        self.depth += 1;
        let builder = EventBuilder {
            room_id: Some(self.room_id.clone()),
            sender: self.user.clone(),
            event_type: "m.room.message".to_owned(),
            state_key: None,
            content: content(&json!({ "msgtype": "m.text", "body": text }))?,
            origin_server_ts: now()?,
            prev_events: self.prev.clone(),
            auth_events: self.auth.clone(),
            depth: self.depth,
            redacts: None,
        };
        let pdu = builder.build_and_sign(self.version, &self.peer.key, &self.peer.name)?;
        self.prev = vec![pdu.event_id().clone()];
        Ok(pdu)
    }

    /// A transaction of so many messages, each after the one before.
    pub fn transaction(&mut self, id: &str, events: usize) -> Result<Transaction> {
        let text = "the quick brown fox jumps over the lazy dog and back again";
        let message = |number| self.message(&format!("{id} {number}: {text}"));
        let pdus = (0..events).map(message).collect::<Result<Vec<_>>>()?;
        self.transaction_of(id, &pdus)
    }

    /// A transaction of these events.
    pub fn transaction_of(&self, id: &str, events: &[Pdu]) -> Result<Transaction> {
        let pdus = events.iter().map(|pdu| serde_json::from_slice::<Value>(pdu.json()));
        let pdus = pdus.collect::<Result<Vec<_>, _>>()?;
        let body = json!({ "origin": self.peer.name, "origin_server_ts": now()?, "pdus": pdus });
        let path = format!("/_matrix/federation/v1/send/{id}");
        let mut request = Vec::new();
        self.peer.write(&mut request, ("PUT", &path), Some(&body))?;
        Ok(Transaction { request, events: events.len() })
    }
}

impl Transaction {
    /// Sends it; every event in it has to be taken.
    pub async fn send(&self, client: &mut Client) -> Result<()> {
        let answer = accepted(client.call(&self.request).await?, "a transaction")?;
        let answered: Answered = serde_json::from_slice(&answer.body)?;
        let refused = answered.pdus.iter().find(|(_, result)| result.get("error").is_some());
        ensure!(refused.is_none(), "an event was refused: {refused:?}");
        ensure!(answered.pdus.len() == self.events, "not every event was answered");
        Ok(())
    }
}

/// Where a join of this user would lie, and in which version.
async fn template(
    client: &mut Client,
    peer: &Peer,
    (user, room): (&OwnedUserId, &str),
) -> Result<Template> {
    let (room, user) = (segment(room), segment(user.as_str()));
    let versions = "ver=10&ver=11&ver=12";
    let path = format!("/_matrix/federation/v1/make_join/{room}/{user}?{versions}");
    ask(client, peer, ("GET", &path), None).await
}

async fn ask<T: serde::de::DeserializeOwned>(
    client: &mut Client,
    peer: &Peer,
    (method, path): (&str, &str),
    body: Option<&Value>,
) -> Result<T> {
    let mut request = Vec::new();
    peer.write(&mut request, (method, path), body)?;
    let answer = accepted(client.call(&request).await?, path)?;
    serde_json::from_slice(&answer.body).with_context(|| format!("the answer to {path}"))
}

fn content(content: &Value) -> Result<CanonicalJsonObject> {
    Ok(serde_json::from_value(content.clone())?)
}

fn now() -> Result<MilliSecondsSinceUnixEpoch> {
    Ok(MilliSecondsSinceUnixEpoch(UInt::try_from(clock::unix_seconds() * 1_000)?))
}
