//! The few client-server calls a benchmark needs.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use vestibule_types::segment;

use crate::client::{Answer, Client, write_request};

/// How much of a refused answer is shown.
const SHOWN_BYTES_MAX: usize = 400;

/// A registered user.
#[derive(Debug, Clone)]
pub struct User {
    /// Its full identifier.
    pub id: String,
    /// Its access token.
    pub token: String,
    /// Its device.
    pub device: String,
}

/// A connection that speaks for one user, or for nobody.
#[derive(Debug)]
pub struct Api {
    client: Client,
    request: Vec<u8>,
    token: Option<String>,
}

/// The part of a sync answer that leads on.
#[derive(Debug, Deserialize)]
struct NextBatch {
    next_batch: String,
}

impl Api {
    /// A connection without a token.
    pub async fn anonymous(address: SocketAddr) -> Result<Self> {
        Ok(Self { client: Client::connect(address).await?, request: Vec::new(), token: None })
    }

    /// A connection for a user.
    pub async fn of(address: SocketAddr, user: &User) -> Result<Self> {
        let mut api = Self::anonymous(address).await?;
        api.speak_for(user);
        Ok(api)
    }

    /// Uses another user's token from now on.
    pub fn speak_for(&mut self, user: &User) {
        self.token = Some(user.token.clone());
    }

    /// Registers a user with a password and the dummy stage.
    pub async fn register(&mut self, name: &str) -> Result<User> {
        let body = json!({
            "username": name,
            "password": "correct horse battery staple",
            "initial_device_display_name": "bench",
            "auth": { "type": "m.login.dummy" },
        });
        let answer = self.json("POST", "/_matrix/client/v3/register", &body).await?;
        Ok(User {
            id: text(&answer, "user_id")?,
            token: text(&answer, "access_token")?,
            device: text(&answer, "device_id")?,
        })
    }

    /// Creates a room that everyone may join.
    pub async fn create_room(&mut self) -> Result<String> {
        self.create_room_of(&json!({ "preset": "public_chat" })).await
    }

    /// Creates a room as the body of the request says.
    pub async fn create_room_of(&mut self, body: &Value) -> Result<String> {
        let answer = self.json("POST", "/_matrix/client/v3/createRoom", body).await?;
        text(&answer, "room_id")
    }

    /// Joins a room by its identifier.
    pub async fn join(&mut self, room: &str) -> Result<()> {
        let path = format!("/_matrix/client/v3/rooms/{}/join", segment(room));
        self.json("POST", &path, &json!({})).await.map(drop)
    }

    /// Joins a room of another server.
    pub async fn join_via(&mut self, room: &str, via: &str) -> Result<()> {
        let path = format!("/_matrix/client/v3/join/{}?via={}", segment(room), segment(via));
        self.json("POST", &path, &json!({})).await.map(drop)
    }

    /// Sends one message.
    pub async fn message(&mut self, room: &str, transaction: &str) -> Result<String> {
        let path = message_path(room, transaction);
        let body = json!({ "msgtype": "m.text", "body": transaction });
        let answer = self.json("PUT", &path, &body).await?;
        text(&answer, "event_id")
    }

    /// Says that everything up to an event was read.
    pub async fn receipt(&mut self, room: &str, event: &str) -> Result<()> {
        let (room, event) = (segment(room), segment(event));
        let path = format!("/_matrix/client/v3/rooms/{room}/receipt/m.read/{event}");
        self.json("POST", &path, &json!({})).await.map(drop)
    }

    /// Syncs; the answer's bytes and the token that leads on are handed to `see`.
    pub async fn sync<T>(
        &mut self,
        query: &SyncQuery<'_>,
        see: impl FnOnce(&[u8]) -> T,
    ) -> Result<(String, T)> {
        self.ask_sync(query).await?;
        self.read_sync(see).await
    }

    /// Sends a sync request and does not wait for its answer.
    pub async fn ask_sync(&mut self, query: &SyncQuery<'_>) -> Result<()> {
        write_request(&mut self.request, "GET", &query.path(), self.token.as_deref(), &[]);
        self.client.send(&self.request).await
    }

    /// Reads the answer to a sync request.
    pub async fn read_sync<T>(&mut self, see: impl FnOnce(&[u8]) -> T) -> Result<(String, T)> {
        let answer = accepted(self.client.receive().await?, "sync")?;
        let seen = see(&answer.body);
        let next: NextBatch = serde_json::from_slice(&answer.body).context("a sync answer")?;
        Ok((next.next_batch, seen))
    }

    /// The answer to a GET; nothing when it is not a success.
    pub async fn get(&mut self, path: &str) -> Result<Option<Value>> {
        write_request(&mut self.request, "GET", path, self.token.as_deref(), &[]);
        let answer = self.client.call(&self.request).await?;
        if answer.status != 200 {
            return Ok(None);
        }
        Ok(Some(
            serde_json::from_slice(&answer.body)
                .with_context(|| format!("the answer to {path}"))?,
        ))
    }

    /// The bytes that answer a GET, which has to be a success.
    pub async fn get_bytes(&mut self, path: &str) -> Result<Vec<u8>> {
        write_request(&mut self.request, "GET", path, self.token.as_deref(), &[]);
        Ok(accepted(self.client.call(&self.request).await?, path)?.body.into_owned())
    }

    /// The status of a plain GET.
    pub async fn status(&mut self, path: &str) -> Result<u16> {
        write_request(&mut self.request, "GET", path, self.token.as_deref(), &[]);
        Ok(self.client.call(&self.request).await?.status)
    }

    /// A request with a body of JSON; its answer has to be a success.
    pub async fn json(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.answer(method, path, body, |body| serde_json::from_slice(body)).await?;
        answer.with_context(|| format!("the answer to {path}"))
    }

    /// The same; the bytes of the answer are handed to `see`.
    pub async fn answer<T>(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
        see: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        write_request(&mut self.request, method, path, self.token.as_deref(), &body);
        let answer = accepted(self.client.call(&self.request).await?, path)?;
        Ok(see(&answer.body))
    }
}

/// What a sync asks for.
#[derive(Debug, Default, Clone, Copy)]
pub struct SyncQuery<'a> {
    /// Where the previous sync ended.
    pub since: Option<&'a str>,
    /// How long to wait for news.
    pub timeout_ms: u32,
    /// Members are left out, and of each timeline so many events are wanted; everything when absent.
    pub timeline: Option<u32>,
}

impl SyncQuery<'_> {
    fn path(&self) -> String {
        let mut path =
            format!("/_matrix/client/v3/sync?set_presence=offline&timeout={}", self.timeout_ms);
        if let Some(since) = self.since {
            path.push_str("&since=");
            path.push_str(&segment(since));
        }
        if let Some(limit) = self.timeline {
            let state = json!({ "lazy_load_members": true });
            let filter = json!({ "room": { "state": state, "timeline": { "limit": limit } } });
            path.push_str("&filter=");
            path.push_str(&segment(&filter.to_string()));
        }
        path
    }
}

/// The path on which a message is sent.
#[must_use]
pub fn message_path(room: &str, transaction: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{transaction}", segment(room))
}

/// A path as it was before its segments were encoded, in whatever way that was.
#[must_use]
pub fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// Lets only a success pass; a refusal becomes an error that shows what the server said.
pub fn accepted<'a>(answer: Answer<'a>, what: &str) -> Result<Answer<'a>> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let shown = answer.body.get(..SHOWN_BYTES_MAX).unwrap_or(&answer.body);
    bail!("{what} was answered with {}: {}", answer.status, String::from_utf8_lossy(shown))
}

fn text(answer: &Value, key: &str) -> Result<String> {
    let found = answer.get(key).and_then(Value::as_str).map(str::to_owned);
    found.with_context(|| format!("the answer has no {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_names_its_token_and_filter() {
        let query = SyncQuery { since: Some("s1/2"), timeout_ms: 7, timeline: None };
        assert_eq!(
            query.path(),
            "/_matrix/client/v3/sync?set_presence=offline&timeout=7&since=s1%2F2"
        );
        assert!(SyncQuery { timeline: Some(1), ..query }.path().contains("&filter=%7B%22room"));
    }

    #[test]
    fn a_refusal_shows_what_the_server_said() {
        let answer = Answer { status: 429, body: b"slow down".as_slice().into() };
        let error = accepted(answer, "send").unwrap_err().to_string();
        assert_eq!(error, "send was answered with 429: slow down");
    }
}
