//! What the tests about rooms share.

use super::*;

/// A path as clients send it.
pub(super) fn encoded(text: &str) -> String {
    text.replace('#', "%23").replace('$', "%24").replace('👍', "%F0%9F%91%8D")
}

impl Server {
    /// A public room of somebody, made with these further options.
    pub(super) async fn public_room(&self, who: &Person, options: Value) -> String {
        let mut body = json!({ "preset": "public_chat" });
        for (key, value) in options.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let (status, body) = self.post("/_matrix/client/v3/createRoom", who, body).await;
        assert_eq!(status, 200, "{body}");
        body["room_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn joins(&self, who: &Person, room: &str) {
        let path = format!("/_matrix/client/v3/join/{room}");
        let (status, body) = self.post(&path, who, json!({})).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Sends an event and returns its id. The transaction is named after the content.
    pub(super) async fn sends(
        &self,
        who: &Person,
        room: &str,
        (kind, content): (&str, Value),
    ) -> String {
        let transaction = self.time.environment.now_ms();
        let path = format!("/_matrix/client/v3/rooms/{room}/send/{kind}/{transaction}");
        let (status, body) = self.put(&path, who, content).await;
        assert_eq!(status, 200, "{body}");
        self.time.clock.advance(Duration::from_secs(1));
        body["event_id"].as_str().unwrap().to_owned()
    }

    /// Says something, related to another event or to none.
    pub(super) async fn says(&self, who: &Person, room: &str, relation: Value) -> String {
        let mut content = json!({ "msgtype": "m.text", "body": "tea?" });
        if !relation.is_null() {
            content["m.relates_to"] = relation;
        }
        self.sends(who, room, ("m.room.message", content)).await
    }

    pub(super) async fn sets(&self, who: &Person, room: &str, (place, content): (&str, Value)) {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/{place}");
        let (status, body) = self.put(&path, who, content).await;
        assert_eq!(status, 200, "{body}");
    }

    pub(super) async fn redacts(&self, who: &Person, room: &str, event: &str) {
        let event = encoded(event);
        let path = format!("/_matrix/client/v3/rooms/{room}/redact/{event}/r{event}");
        let (status, body) = self.put(&path, who, json!({})).await;
        assert_eq!(status, 200, "{body}");
    }

    /// An answer that must be there.
    pub(super) async fn fetch(&self, who: &Person, path: &str) -> Value {
        let (status, body) = self.get(path, who).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// The values of one field of a list of objects.
pub(super) fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap_or_default()).collect()
}
