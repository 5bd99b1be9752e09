//! Somebody who talks to the server.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vestibule_bench::client::{Client, write_request};
use vestibule_testkit::spec;
use vestibule_types::segment;

/// An account, or a guest, with its token.
#[derive(Debug, Clone)]
pub struct Person {
    address: SocketAddr,
    /// The full user id.
    pub user_id: String,
    /// The access token; empty for somebody who has none.
    pub token: String,
    forwarded_for: Option<String>,
}

/// What somebody was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is not JSON.
    pub body: Value,
}

impl Person {
    /// Somebody without an account.
    #[must_use]
    pub fn nobody(address: SocketAddr) -> Self {
        Self { address, user_id: String::new(), token: String::new(), forwarded_for: None }
    }

    /// The same person with a token.
    pub fn with_session(mut self, answer: &Value) -> Result<Self> {
        self.user_id = text(answer, "user_id")?;
        self.token = text(answer, "access_token")?;
        Ok(self)
    }

    /// The same person behind a proxy that says where it came from.
    #[must_use]
    pub fn forwarded_for(mut self, address: &str) -> Self {
        self.forwarded_for = Some(address.to_owned());
        self
    }

    /// Sends one request, its path exactly as written.
    pub async fn raw(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let mut request = Vec::new();
        let token = Some(self.token.as_str()).filter(|token| !token.is_empty());
        write_request(&mut request, method, path, token, body.to_string().as_bytes());
        if let Some(address) = &self.forwarded_for {
            let head = request.windows(2).position(|two| two == b"\r\n").context("a head")?;
            let line = format!("\r\nX-Forwarded-For: {address}");
            request.splice(head..head, line.into_bytes());
        }
        let mut client = Client::connect(self.address).await?;
        let answer = client.call(&request).await?;
        let (status, body) = (answer.status, &*answer.body);
        spec::check(spec::Answer { method, path, status, is_json: true, body });
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Answer { status: answer.status, body })
    }

    /// Asks for a path of the client-server API, `/_matrix/client/v3` left out.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Result<Answer> {
        self.raw(method, &format!("/_matrix/client/v3{path}"), &body).await
    }

    /// Reads a path of the client-server API, `/_matrix/client/v3` left out.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, Value::Null).await
    }

    /// Makes a room that lets anybody in, guests too, as far as the room goes. `more` is merged into
    /// the request.
    pub async fn make_room(&self, more: Value) -> Result<String> {
        let mut body = json!({ "preset": "public_chat", "initial_state": [guests_can_join()] });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        text(&self.ask("POST", "/createRoom", body).await?.ok()?, "room_id")
    }

    /// Joins a room by id or alias.
    pub async fn join(&self, room: &str) -> Result<Answer> {
        self.ask("POST", &format!("/join/{}", segment(room)), json!({})).await
    }

    /// Leaves a room.
    pub async fn leave(&self, room: &str) -> Result<Answer> {
        self.ask("POST", &format!("/rooms/{}/leave", segment(room)), json!({})).await
    }

    /// Invites somebody.
    pub async fn invite(&self, room: &str, user_id: &str) -> Result<Answer> {
        let path = format!("/rooms/{}/invite", segment(room));
        self.ask("POST", &path, json!({ "user_id": user_id })).await
    }

    /// Says something; the words are the transaction id too.
    pub async fn speak(&self, room: &str, words: &str) -> Result<Answer> {
        let path = format!("/rooms/{}/send/m.room.message/{}", segment(room), segment(words));
        self.ask("PUT", &path, json!({ "msgtype": "m.text", "body": words })).await
    }

    /// Writes state.
    pub async fn put_state(
        &self,
        room: &str,
        kind: &str,
        key: &str,
        content: Value,
    ) -> Result<Answer> {
        let path = format!("/rooms/{}/state/{}/{}", segment(room), segment(kind), segment(key));
        self.ask("PUT", &path, content).await
    }

    /// Reads state.
    pub async fn state(&self, room: &str, kind: &str, key: &str) -> Result<Answer> {
        let path = format!("/rooms/{}/state/{}/{}", segment(room), segment(kind), segment(key));
        self.get(&path).await
    }

    /// Gives a room an alias.
    pub async fn put_alias(&self, alias: &str, room: &str) -> Result<Answer> {
        let path = format!("/directory/room/{}", segment(alias));
        self.ask("PUT", &path, json!({ "room_id": room })).await
    }

    /// Takes an alias away.
    pub async fn delete_alias(&self, alias: &str) -> Result<Answer> {
        self.ask("DELETE", &format!("/directory/room/{}", segment(alias)), json!({})).await
    }

    /// The rooms somebody is in.
    pub async fn rooms(&self) -> Result<Vec<String>> {
        let answer = self.get("/joined_rooms").await?.ok()?;
        let rooms = answer.get("joined_rooms").and_then(Value::as_array).context("joined_rooms")?;
        let mut rooms: Vec<_> =
            rooms.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        rooms.sort();
        Ok(rooms)
    }

    /// Syncs from a token, or from the beginning, without waiting.
    pub async fn sync(&self, since: Option<&str>) -> Result<Value> {
        let since = since.map(|since| format!("&since={}", segment(since))).unwrap_or_default();
        self.get(&format!("/sync?timeout=0{since}")).await?.ok()
    }
}

impl Answer {
    /// The body of a success.
    pub fn ok(self) -> Result<Value> {
        if self.status == 200 {
            return Ok(self.body);
        }
        bail!("answered {}: {}", self.status, self.body)
    }

    /// The `errcode` of a refusal, if there is one.
    #[must_use]
    pub fn errcode(&self) -> &str {
        self.body.get("errcode").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the policy refused a guest: 403 with the code and the reason of the house.
    #[must_use]
    pub fn refuses_a_guest(&self) -> bool {
        self.refuses("M_GUEST_ACCESS_FORBIDDEN")
    }

    /// Whether the policy refused somebody who is no guest.
    #[must_use]
    pub fn refuses_a_member(&self) -> bool {
        self.refuses("M_FORBIDDEN")
    }

    fn refuses(&self, errcode: &str) -> bool {
        let reason = self.body.get("org.vestibule.reason");
        self.status == 403 && self.errcode() == errcode && reason.is_some_and(Value::is_string)
    }
}

fn guests_can_join() -> Value {
    json!({ "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } })
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {key} in {value}"))?.to_owned())
}
