//! Somebody with a session.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

use vestibule_types::segment;

use super::{HttpClient, Reply};

/// Somebody with a session, and what they usually do. Paths are the client API's; a helper without
/// a helper's name here is one `person.http().post(..)` away.
#[derive(Clone, Debug)]
pub struct Person {
    http: HttpClient,
    /// Who they are.
    pub user_id: String,
    /// Their device.
    pub device_id: String,
    /// Their token.
    pub access_token: String,
    transactions: Arc<AtomicU64>,
}

const V3: &str = "/_matrix/client/v3";

impl Person {
    pub(super) fn of(http: &HttpClient, session: &Value) -> Self {
        let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
        let access_token = text("access_token");
        Self {
            http: http.with_token(&access_token),
            user_id: text("user_id"),
            device_id: text("device_id"),
            access_token,
            transactions: Arc::default(),
        }
    }

    /// Requests with this person's token.
    #[must_use]
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Makes a room and returns its id.
    pub async fn create_room(&self, options: &Value) -> String {
        let made = self.http.post(&format!("{V3}/createRoom"), options).await.ok();
        made["room_id"].as_str().expect("a room id").to_owned()
    }

    /// Makes a public room that guests may join as far as the room is concerned.
    pub async fn create_guest_room(&self, alias: Option<&str>) -> String {
        let guests = json!({
            "type": "m.room.guest_access",
            "state_key": "",
            "content": { "guest_access": "can_join" },
        });
        let mut options = json!({ "preset": "public_chat", "initial_state": [guests] });
        if let Some(alias) = alias {
            options["room_alias_name"] = alias.into();
        }
        self.create_room(&options).await
    }

    /// Stores an empty filter: something everybody may do.
    pub async fn store_filter(&self) -> Reply {
        let path = format!("{V3}/user/{}/filter", segment(&self.user_id));
        self.http.post(&path, &json!({})).await
    }

    /// Joins by id or alias.
    pub async fn join(&self, room: &str) -> Reply {
        self.http.post(&format!("{V3}/join/{}", segment(room)), &json!({})).await
    }

    /// Joins by id on the other path.
    pub async fn join_by_id(&self, room_id: &str) -> Reply {
        self.in_room(room_id, "join", &json!({})).await
    }

    /// Knocks.
    pub async fn knock(&self, room: &str) -> Reply {
        self.http.post(&format!("{V3}/knock/{}", segment(room)), &json!({})).await
    }

    /// Leaves.
    pub async fn leave(&self, room_id: &str) -> Reply {
        self.in_room(room_id, "leave", &json!({})).await
    }

    /// Invites somebody.
    pub async fn invite(&self, room_id: &str, user_id: &str) -> Reply {
        self.in_room(room_id, "invite", &json!({ "user_id": user_id })).await
    }

    /// Kicks somebody.
    pub async fn kick(&self, room_id: &str, user_id: &str) -> Reply {
        self.in_room(room_id, "kick", &json!({ "user_id": user_id })).await
    }

    /// Bans somebody.
    pub async fn ban(&self, room_id: &str, user_id: &str) -> Reply {
        self.in_room(room_id, "ban", &json!({ "user_id": user_id })).await
    }

    /// Any `POST` below a room.
    pub async fn in_room(&self, room_id: &str, what: &str, body: &Value) -> Reply {
        self.http.post(&format!("{V3}/rooms/{}/{what}", segment(room_id)), body).await
    }

    /// Any `GET` below a room.
    pub async fn of_room(&self, room_id: &str, what: &str) -> Reply {
        self.http.get(&format!("{V3}/rooms/{}/{what}", segment(room_id))).await
    }

    /// Says something and returns the answer.
    pub async fn try_say(&self, room_id: &str, text: &str) -> Reply {
        let content = json!({ "msgtype": "m.text", "body": text });
        self.send(room_id, "m.room.message", &content).await
    }

    /// Says something and returns the event's id.
    pub async fn say(&self, room_id: &str, text: &str) -> String {
        let sent = self.try_say(room_id, text).await.ok();
        sent["event_id"].as_str().expect("an event id").to_owned()
    }

    /// Sends any event.
    pub async fn send(&self, room_id: &str, event_type: &str, content: &Value) -> Reply {
        let number = self.transactions.fetch_add(1, Ordering::Relaxed);
        let transaction = format!("{}-{number}", self.device_id);
        let path = format!("{V3}/rooms/{}/send/{event_type}/{transaction}", segment(room_id));
        self.http.put(&path, content).await
    }

    /// Sets state.
    pub async fn set_state(&self, room_id: &str, event_type: &str, key: &str, to: &Value) -> Reply {
        let key = segment(key);
        let path = format!("{V3}/rooms/{}/state/{event_type}/{key}", segment(room_id));
        self.http.put(&path, to).await
    }

    /// Reads state.
    pub async fn state(&self, room_id: &str, event_type: &str, key: &str) -> Reply {
        self.of_room(room_id, &format!("state/{event_type}/{}", segment(key))).await
    }

    /// Makes an alias.
    pub async fn create_alias(&self, alias: &str, room_id: &str) -> Reply {
        let path = format!("{V3}/directory/room/{}", segment(alias));
        self.http.put(&path, &json!({ "room_id": room_id })).await
    }

    /// Deletes an alias.
    pub async fn delete_alias(&self, alias: &str) -> Reply {
        self.http.delete(&format!("{V3}/directory/room/{}", segment(alias))).await
    }

    /// The texts of the messages this person can read in a room, oldest first.
    pub async fn messages(&self, room_id: &str) -> Vec<String> {
        let page = self.of_room(room_id, "messages?dir=f&limit=100").await.ok();
        texts(&page["chunk"])
    }

    /// Synchronises once; `since` may be empty.
    pub async fn sync(&self, since: &str) -> Value {
        self.sync_for(since, 0).await
    }

    /// Synchronises, waiting up to so many milliseconds for something new.
    pub async fn sync_for(&self, since: &str, wait_ms: u64) -> Value {
        let mut path = format!("{V3}/sync?timeout={wait_ms}");
        if !since.is_empty() {
            let _infallible = write!(path, "&since={}", segment(since));
        }
        self.http.get(&path).await.ok()
    }
}

/// The texts of the messages in a list of events.
#[must_use]
pub fn texts(events: &Value) -> Vec<String> {
    let events = events.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |event: &Value| event["content"]["body"].as_str().map(str::to_owned);
    events.iter().filter_map(text).collect()
}
