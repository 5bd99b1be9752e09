//! A server that is nothing but a name and a key: it signs requests, answers for its key, and makes
//! events as a test wants them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, routing::get};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedServerName, OwnedUserId, RoomId, ServerName, UserId,
    signatures::{KeyPair, hash_and_sign_event},
};
use serde_json::{Value, json};
use vestibule_events::{
    EventBuilder, Pdu, PublicKeys, RoomVersion, SigningKey, StateKey, Verified, auth_types,
    signed_text, verify,
};
use vestibule_remote::{Exchange, Transport};
use vestibule_rooms::{Incoming, Received};
use vestibule_storage::StorageError;

use super::{Network, Reply, TestServer};

/// Until when keys say they are good: 2100-01-01.
const VALID_UNTIL_MS: u64 = 4_102_444_800_000;

/// The largest answer a test reads.
const ANSWER_BYTES_MAX: usize = 64 * 1_048_576;

/// A server of which there is only a name, a key and what the test lets it answer.
#[derive(Debug)]
pub struct PretendServer {
    name: OwnedServerName,
    key: SigningKey,
    network: Network,
}

impl PretendServer {
    /// Puts a server on the network that answers for its key and for nothing else.
    #[must_use]
    pub fn on(network: &Network, name: &str) -> Self {
        Self::answering(network, name, Router::new())
    }

    /// The same with endpoints of the test's own.
    #[must_use]
    pub fn answering(network: &Network, name: &str, router: Router) -> Self {
        let name = ServerName::parse(name).expect("a server name");
        let mut seed = [17; 32];
        for (byte, letter) in seed.iter_mut().zip(name.as_bytes()) {
            *byte = *letter;
        }
        let key = SigningKey::from_seed(seed, "pretend").expect("a key");
        let this = Self { name, key, network: network.clone() };
        let keys = this.own_keys();
        let own = get(move || async move { Json(keys) });
        network.attach(&this.name, router.route("/_matrix/key/v2/server", own));
        this
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// The key it signs with.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A user of this server.
    #[must_use]
    pub fn user(&self, localpart: &str) -> OwnedUserId {
        UserId::parse(format!("@{localpart}:{}", self.name)).expect("a user id")
    }

    /// What it answers about its key, signed.
    #[must_use]
    pub fn own_keys(&self) -> Value {
        let keys = json!({
            "server_name": self.name,
            "verify_keys": { self.key.key_id().as_str(): { "key": self.key.public_key() } },
            "old_verify_keys": {},
            "valid_until_ts": VALID_UNTIL_MS,
        });
        self.signed(&keys)
    }

    /// An object with this server's signature.
    #[must_use]
    pub fn signed(&self, object: &Value) -> Value {
        let mut object = canonical(object);
        self.key.sign_json(&self.name, &mut object).expect("an object that can be signed");
        serde_json::to_value(object).expect("JSON")
    }

    /// An event with its hash and this server's signature, whatever else is wrong with it. Nothing
    /// when it is no JSON that can be signed.
    #[must_use]
    pub fn signed_event(&self, event: &Value, version: RoomVersion) -> Option<Value> {
        let mut object: CanonicalJsonObject = serde_json::from_value(event.clone()).ok()?;
        let rules = &version.rules().redaction;
        hash_and_sign_event(self.name.as_str(), &self.key, &mut object, rules).ok()?;
        serde_json::to_value(object).ok()
    }

    /// `GET`, signed.
    pub async fn get(&self, to: &TestServer, path: &str) -> Reply {
        self.ask(to, Method::GET, path, None).await
    }

    /// `PUT`, signed.
    pub async fn put(&self, to: &TestServer, path: &str, body: &Value) -> Reply {
        self.ask(to, Method::PUT, path, Some(body)).await
    }

    /// `POST`, signed.
    pub async fn post(&self, to: &TestServer, path: &str, body: &Value) -> Reply {
        self.ask(to, Method::POST, path, Some(body)).await
    }

    /// Any request, signed. Fails the test when the server cannot be reached.
    pub async fn ask(
        &self,
        to: &TestServer,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        let header = self.authorization(to.running().server_name(), (&method, path), body);
        self.ask_as(to, (method, path), body, Some(&header)).await
    }

    /// A request with this `Authorization`, right, wrong or none.
    pub async fn ask_as(
        &self,
        to: &TestServer,
        (method, path): (Method, &str),
        body: Option<&Value>,
        authorization: Option<&str>,
    ) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(text) = authorization {
            let value = HeaderValue::try_from(text).expect("a header");
            headers.insert(header::AUTHORIZATION, value);
        }
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        let exchange = Exchange {
            server: to.running().server_name().to_owned(),
            method,
            path: path.to_owned(),
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
            answer_bytes_max: ANSWER_BYTES_MAX,
            time_max: std::time::Duration::from_mins(1),
        };
        let reply = self.network.exchange(exchange).await.expect("an answer");
        self.network.check();
        let text = || Value::String(String::from_utf8_lossy(&reply.body).into_owned());
        let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| text());
        Reply { status: reply.status.as_u16(), body }
    }

    /// The `Authorization` header of a request of this server's.
    #[must_use]
    pub fn authorization(
        &self,
        to: &ServerName,
        (method, path): (&Method, &str),
        body: Option<&Value>,
    ) -> String {
        let mut request = json!({
            "method": method.as_str(),
            "uri": path,
            "origin": self.name,
            "destination": to,
        });
        if let Some(body) = body {
            request["content"] = body.clone();
        }
        // What is signed need not be canonical JSON: numbers are signed as they are written.
        let text = signed_text(&request.to_string()).expect("JSON that can be signed");
        let signature = self.key.sign(text.as_bytes()).base64();
        let (id, name) = (self.key.key_id().as_str(), &self.name);
        format!(r#"X-Matrix origin="{name}",destination="{to}",key="{id}",sig="{signature}""#)
    }

    /// An event of this server at the ends of a room, authorized by the state there. Whether the
    /// room's rules allow it is not asked.
    #[must_use]
    pub fn event(
        &self,
        room: &RoomEnds,
        sender: &UserId,
        (kind, state_key): (&str, Option<&str>),
        content: &Value,
    ) -> Pdu {
        let builder = room.draft(sender, (kind, state_key), content);
        builder.build_and_sign(room.version, &self.key, &self.name).expect("an event")
    }

    /// A join of a user of this server, at the ends of a room.
    #[must_use]
    pub fn join(&self, room: &RoomEnds, user: &UserId) -> Pdu {
        let member = ("m.room.member", Some(user.as_str()));
        self.event(room, user, member, &json!({ "membership": "join" }))
    }

    /// An event of this server, verified with its key.
    #[must_use]
    pub fn verified(&self, event: &Pdu) -> Verified {
        let public = self.key.public_key();
        let public = CanonicalJsonValue::String(public);
        let public = serde_json::from_value(public.into()).expect("base64");
        let keys = BTreeMap::from([(self.key.key_id().to_string(), public)]);
        let keys = PublicKeys::from([(self.name.to_string(), keys)]);
        verify(event.clone(), &keys).expect("our own signature")
    }

    /// Hands an event to a server's rooms past all endpoints.
    pub async fn hand_over(&self, to: &TestServer, event: &Pdu) -> Received {
        to.running().rooms().receive(self.verified(event)).await.expect("judged")
    }

    /// Hands over an event whose parents are not all there, with the state that `room` has in their
    /// place.
    pub async fn hand_over_gap(&self, to: &TestServer, event: &Pdu, room: &RoomEnds) -> Received {
        let fetched: Arc<[OwnedEventId]> = room.state.values().cloned().collect();
        let incoming = Incoming { fetched: vec![fetched], ..self.verified(event).into() };
        let rooms = to.running().rooms();
        let judged = rooms.receive_all(&room.room_id, vec![incoming]).await.pop();
        judged.expect("an outcome").expect("judged")
    }

    /// Makes a user of this server join a public room that lives on another, past all endpoints.
    pub async fn slip_in(&self, to: &TestServer, room_id: &str, localpart: &str) -> OwnedUserId {
        let user = self.user(localpart);
        let join = self.join(&RoomEnds::of(to, room_id).await, &user);
        assert_eq!(self.hand_over(to, &join).await, Received::Accepted);
        user
    }
}

/// Where a room goes on: what a server in it builds its next event on.
#[derive(Clone, Debug)]
pub struct RoomEnds {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersion,
    /// What the next event follows.
    pub prev_events: Vec<OwnedEventId>,
    /// The depth of the next event.
    pub depth: u64,
    /// The state before the next event.
    pub state: BTreeMap<StateKey, OwnedEventId>,
    /// The time of the next event, in milliseconds since the Unix epoch.
    pub at: u64,
}

impl RoomEnds {
    /// The ends of a room as a server has them.
    pub async fn of(server: &TestServer, room_id: &str) -> Self {
        let room_id = RoomId::parse(room_id).expect("a room id");
        let looked = server.running().rooms().with_view(&room_id, |view| {
            let id = |no| -> Result<_, StorageError> {
                Ok(view.event(no)?.expect("stored").pdu.event_id().clone())
            };
            let head = &view.room.head;
            let mut state = BTreeMap::new();
            for (key, no) in view.full_state(head.state, None)? {
                state.insert(key, id(no)?);
            }
            let mut at = 0;
            for no in &head.extremities {
                let event = view.event(*no)?.expect("stored");
                at = at.max(u64::from(event.pdu.origin_server_ts().get()) + 1);
            }
            Ok::<_, StorageError>(Self {
                room_id: view.room.room_id.clone(),
                version: view.room.version,
                prev_events: head.extremities.iter().map(|no| id(*no)).collect::<Result<_, _>>()?,
                depth: head.depth + 1,
                state,
                at,
            })
        });
        looked.await.expect("read").expect("a room of this server")
    }

    /// The ends after one more event.
    #[must_use]
    pub fn after(mut self, event: &Pdu) -> Self {
        if let Some(place) = event.state_place() {
            self.state.insert(place, event.event_id().clone());
        }
        self.prev_events = vec![event.event_id().clone()];
        self.depth = event.depth() + 1;
        self.at = u64::from(event.origin_server_ts().get()) + 1;
        self
    }

    /// What an event here says before it is hashed and signed.
    #[must_use]
    pub fn draft(
        &self,
        sender: &UserId,
        (kind, state_key): (&str, Option<&str>),
        content: &Value,
    ) -> EventBuilder {
        let raw = serde_json::value::to_raw_value(content).expect("JSON");
        let places = auth_types(self.version, kind, sender, state_key, &raw).expect("auth types");
        let implied =
            |place: &StateKey| self.version.room_id_is_create_event() && place.0 == "m.room.create";
        let auth = places.into_iter().filter(|place| !implied(place));
        EventBuilder {
            room_id: Some(self.room_id.clone()),
            sender: sender.to_owned(),
            event_type: kind.to_owned(),
            state_key: state_key.map(ToOwned::to_owned),
            content: canonical(content),
            origin_server_ts: MilliSecondsSinceUnixEpoch(self.at.try_into().expect("a time")),
            prev_events: self.prev_events.clone(),
            auth_events: auth.filter_map(|place| self.state.get(&place).cloned()).collect(),
            depth: self.depth,
            redacts: None,
        }
    }
}

fn canonical(object: &Value) -> CanonicalJsonObject {
    serde_json::from_value(object.clone()).expect("canonical JSON")
}
