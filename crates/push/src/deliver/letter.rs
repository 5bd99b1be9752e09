//! What a push gateway is told (push gateway API).

use ruma::push::PushFormat;
use serde_json::{Map, Value, json};
use vestibule_storage::tables::push::StoredPusher;
use vestibule_types::limits::PUSH_CONTENT_BYTES_MAX;

use super::about::About;
use crate::pusher::PusherId;

/// What is told of an event beside itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// The tweaks: the text of a JSON object.
    pub(super) tweaks: &'a str,
    /// Whether the event is emphasized.
    pub(super) highlight: bool,
    /// How much is unread.
    pub(super) unread: u64,
}

/// A new number of unread notifications, and nothing else. It is told when it is zero, too: only so
/// does a badge go away.
pub(super) fn badge(id: &PusherId, pusher: &StoredPusher, unread: u64) -> String {
    let devices = [device(id, pusher, None)];
    json!({ "notification": { "counts": { "unread": unread }, "devices": devices } }).to_string()
}

/// An event, as much of it as the pusher asked for.
pub(super) fn event(
    about: &About<'_>,
    (id, pusher): (&PusherId, &StoredPusher),
    told: Told<'_>,
) -> String {
    let tweaks: Map<String, Value> = serde_json::from_str(told.tweaks).unwrap_or_default();
    let urgent =
        told.highlight || tweaks.contains_key("sound") || about.pdu.kind() == "m.room.encrypted";
    let mut counts = Map::new();
    if told.unread > 0 {
        counts.insert("unread".to_owned(), told.unread.into());
    }
    let mut notification = Map::new();
    let mut put = |key: &str, value: Value| notification.insert(key.to_owned(), value);
    put("event_id", about.pdu.event_id().as_str().into());
    put("room_id", about.room_id.as_str().into());
    put("prio", if urgent { "high" } else { "low" }.into());
    put("counts", counts.into());
    put("devices", json!([device(id, pusher, Some(tweaks))]));
    if !is_brief(pusher) {
        describe(about, id, &mut notification);
    }
    json!({ "notification": notification }).to_string()
}

/// What the event is about.
fn describe(about: &About<'_>, id: &PusherId, notification: &mut Map<String, Value>) {
    let pdu = about.pdu;
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            notification.insert(key.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().filter(|it| !it.is_empty()).map(Value::from);
    put("type", Some(pdu.kind().into()));
    put("sender", Some(pdu.sender().as_str().into()));
    put("sender_display_name", text(&about.sender_name));
    put("room_name", text(&about.room_name));
    put("room_alias", text(&about.room_alias));
    if pdu.kind() == "m.room.member" {
        put("user_is_target", Some((pdu.state_key() == Some(id.user.as_str())).into()));
    }
    let content = pdu.content().get();
    let fits = content.len() <= PUSH_CONTENT_BYTES_MAX;
    put("content", fits.then(|| serde_json::from_str(content).ok()).flatten());
}

fn data(pusher: &StoredPusher) -> Map<String, Value> {
    serde_json::from_str(&pusher.data).unwrap_or_default()
}

/// Whether the pusher asked for identifiers only.
fn is_brief(pusher: &StoredPusher) -> bool {
    data(pusher).get("format").and_then(Value::as_str) == Some(PushFormat::EventIdOnly.as_str())
}

fn device(id: &PusherId, pusher: &StoredPusher, tweaks: Option<Map<String, Value>>) -> Value {
    let mut device = Map::new();
    device.insert("app_id".to_owned(), id.app_id.as_str().into());
    device.insert("pushkey".to_owned(), id.pushkey.as_str().into());
    device.insert("pushkey_ts".to_owned(), (pusher.set_at / 1_000).into());
    device.insert("data".to_owned(), data(pusher).into());
    if let Some(tweaks) = tweaks {
        device.insert("tweaks".to_owned(), tweaks.into());
    }
    device.into()
}
