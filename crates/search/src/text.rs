//! What of an event is found: the texts of messages, names and topics.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::postings::Field;

/// An event as the index looks at it.
#[derive(Deserialize)]
pub(crate) struct Source<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    pub(crate) origin_server_ts: u64,
    redacts: Option<String>,
    pub(crate) sender: String,
    state_key: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// What is found of an event.
pub(crate) struct Text {
    /// Where it says it.
    pub(crate) field: Field,
    /// What it says.
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct Message {
    body: Option<String>,
    #[serde(rename = "m.new_content")]
    new_content: Option<NewContent>,
}

#[derive(Deserialize)]
struct NewContent {
    body: Option<String>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Topic {
    topic: Option<String>,
}

#[derive(Deserialize)]
struct RichTopic {
    #[serde(rename = "m.topic")]
    topic: RichText,
}

#[derive(Deserialize)]
struct RichText {
    #[serde(rename = "m.text")]
    texts: Vec<Representation>,
}

#[derive(Deserialize)]
struct Representation {
    body: String,
    mimetype: Option<String>,
}

#[derive(Deserialize)]
struct Redaction {
    redacts: Option<String>,
}

impl<'a> Source<'a> {
    /// Reads an event. `None` for one of another shape: it is not found.
    pub(crate) fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The event this one asks to redact.
    pub(crate) fn redacts(&self) -> Option<String> {
        if self.kind != "m.room.redaction" {
            return None;
        }
        let inside = || self.content_as::<Redaction>().and_then(|content| content.redacts);
        self.redacts.clone().or_else(inside)
    }

    /// What is found of it (client-server API, "Server Side Search").
    pub(crate) fn text(&self) -> Option<Text> {
        let (field, text) = match (self.kind.as_str(), self.state_key.as_deref()) {
            ("m.room.message", None) => (Field::Body, self.message()?),
            ("m.room.name", Some("")) => (Field::Name, self.content_as::<Name>()?.name),
            ("m.room.topic", Some("")) => (Field::Topic, self.topic()),
            _ => return None,
        };
        (!text.is_empty()).then_some(Text { field, text })
    }

    /// What a message says; of an edit, what it says now.
    fn message(&self) -> Option<String> {
        let message = self.content_as::<Message>()?;
        message.new_content.and_then(|new| new.body).or(message.body)
    }

    fn topic(&self) -> String {
        let plain = self.content_as::<Topic>().and_then(|content| content.topic);
        let rich = self.content_as::<RichTopic>().map(|content| content.topic.texts);
        let mut texts: Vec<String> = plain.into_iter().collect();
        for text in rich.into_iter().flatten() {
            let is_plain = text.mimetype.is_none_or(|kind| kind == "text/plain");
            if is_plain && !texts.contains(&text.body) {
                texts.push(text.body);
            }
        }
        texts.join("\n")
    }

    fn content_as<'s, T: Deserialize<'s>>(&'s self) -> Option<T> {
        serde_json::from_str(self.content.get()).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(kind: &str, state_key: Option<&str>, content: &Value) -> Option<String> {
        let mut event = json!({
            "type": kind, "content": content, "sender": "@a:b", "origin_server_ts": 1,
        });
        if let Some(state_key) = state_key {
            event["state_key"] = json!(state_key);
        }
        Source::read(event.to_string().as_bytes()).unwrap().text().map(|text| text.text)
    }

    #[test]
    fn messages_names_and_topics_are_found_and_nothing_else() {
        let body = json!({ "body": "tea", "name": "pot", "topic": "cup" });
        assert_eq!(text("m.room.message", None, &body).as_deref(), Some("tea"));
        assert_eq!(text("m.room.name", Some(""), &body).as_deref(), Some("pot"));
        assert_eq!(text("m.room.topic", Some(""), &body).as_deref(), Some("cup"));
        for (kind, state_key) in [
            ("m.room.message", Some("")),
            ("m.room.name", None),
            ("m.room.topic", Some("other")),
            ("m.room.encrypted", None),
            ("m.reaction", None),
        ] {
            assert_eq!(text(kind, state_key, &body), None, "{kind}");
        }
        assert_eq!(text("m.room.message", None, &json!({ "body": 7 })), None);
    }

    #[test]
    fn an_edit_is_found_by_what_it_says_now() {
        let content = json!({ "body": "* old fallback", "m.new_content": { "body": "coffee" } });
        assert_eq!(text("m.room.message", None, &content).as_deref(), Some("coffee"));
    }

    #[test]
    fn the_plain_form_of_a_rich_topic_is_found() {
        let content = json!({ "topic": "cup", "m.topic": { "m.text": [
            { "body": "<b>saucer</b>", "mimetype": "text/html" },
            { "body": "saucer", "mimetype": "text/plain" },
        ] } });
        assert_eq!(text("m.room.topic", Some(""), &content).as_deref(), Some("cup\nsaucer"));
    }
}
