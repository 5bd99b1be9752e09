//! The children of a space, out of its `m.space.child` events.

use ruma::{OwnedRoomId, OwnedServerName, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use vestibule_storage::{Read, StorageError};
use vestibule_types::limits::{SPACE_CHILD_VIA_MAX, SPACE_CHILDREN_MAX};

use crate::RoomView;

/// A child of a space.
pub(crate) struct Edge {
    /// The child.
    pub(crate) child: OwnedRoomId,
    /// Servers that may know it.
    pub(crate) via: Vec<OwnedServerName>,
    /// Whether the space suggests it.
    pub(crate) suggested: bool,
    /// The event that names it, stripped.
    pub(crate) stripped: Box<RawValue>,
    order: Option<String>,
    at: u64,
}

#[derive(Deserialize)]
struct ChildContent {
    via: Vec<String>,
    #[serde(default)]
    order: Value,
    #[serde(default)]
    suggested: Value,
}

/// A stripped event with its time.
#[derive(Serialize)]
struct StrippedChild<'a> {
    r#type: &'a str,
    state_key: &'a str,
    content: &'a RawValue,
    sender: &'a str,
    origin_server_ts: u64,
}

/// The same as another server tells it.
#[derive(Deserialize)]
struct ToldChild<'a> {
    r#type: String,
    state_key: String,
    #[serde(borrow)]
    content: &'a RawValue,
    sender: String,
    origin_server_ts: u64,
}

impl<R: Read> RoomView<'_, R> {
    /// The children of a space in the order it is shown in: by `order`, those without one last,
    /// then by age.
    pub(crate) fn space_children(&self) -> Result<Vec<Edge>, StorageError> {
        let state = self.full_state(self.room.head.state, Some("m.space.child"))?;
        let mut edges = Vec::new();
        for ((_, child), no) in state.into_iter().take(SPACE_CHILDREN_MAX) {
            let Some(event) = self.event(no)? else { continue };
            let content = self.shown_content(&event)?;
            let at = event.pdu.origin_server_ts().get().into();
            edges.extend(edge((&child, &content), event.pdu.sender().as_str(), at));
        }
        edges.sort_by(|a, b| place(a).cmp(&place(b)));
        Ok(edges)
    }
}

/// The same of a space that another server told of. What is no child is left out.
pub(crate) fn children_told(events: &[Box<RawValue>]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for event in events.iter().take(SPACE_CHILDREN_MAX) {
        let Ok(told) = serde_json::from_str::<ToldChild<'_>>(event.get()) else { continue };
        if told.r#type == "m.space.child" {
            let named = (told.state_key.as_str(), told.content);
            edges.extend(edge(named, &told.sender, told.origin_server_ts));
        }
    }
    edges.sort_by(|a, b| place(a).cmp(&place(b)));
    edges
}

/// The edge an event makes; none without servers to reach the child through.
fn edge((state_key, content): (&str, &RawValue), sender: &str, at: u64) -> Option<Edge> {
    let child = OwnedRoomId::try_from(state_key).ok()?;
    let parsed = serde_json::from_str::<ChildContent>(content.get()).ok()?;
    if parsed.via.is_empty() {
        return None;
    }
    let r#type = "m.space.child";
    let stripped = StrippedChild { r#type, state_key, content, sender, origin_server_ts: at };
    let via = parsed.via.into_iter().filter_map(|name| name.try_into().ok());
    Some(Edge {
        stripped: to_raw_value(&stripped).ok()?,
        via: via.take(SPACE_CHILD_VIA_MAX).collect(),
        order: parsed.order.as_str().filter(|order| is_order(order)).map(ToOwned::to_owned),
        suggested: parsed.suggested == Value::Bool(true),
        child,
        at,
    })
}

fn place(edge: &Edge) -> (bool, Option<&str>, u64, &RoomId) {
    (edge.order.is_none(), edge.order.as_deref(), edge.at, &edge.child)
}

/// At most fifty visible ASCII characters and spaces; anything else counts as absent.
fn is_order(order: &str) -> bool {
    order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_of_other_characters_or_too_long_counts_as_none() {
        assert!(is_order("") && is_order("a b~") && is_order(&"x".repeat(50)));
        assert!(!is_order("ä") && !is_order("a\n") && !is_order(&"x".repeat(51)));
    }

    #[test]
    fn what_another_server_tells_is_taken_over_without_what_does_not_belong() {
        let child = |key: &str, kind: &str, via: Value| {
            let event = json!({
                "type": kind,
                "state_key": key,
                "content": { "via": via },
                "sender": "@a:a.example",
                "origin_server_ts": 7,
                "unsigned": { "smuggled": true },
            });
            to_raw_value(&event).unwrap()
        };
        let good = child("!b:b.example", "m.space.child", json!(["b.example", "not a name"]));
        let events = [
            child("!a:a.example", "m.room.name", json!(["a.example"])),
            child("no room", "m.space.child", json!(["a.example"])),
            child("!c:a.example", "m.space.child", json!([])),
            child("!d:a.example", "m.space.child", json!("a.example")),
            to_raw_value("text").unwrap(),
            good,
        ];
        let edges = children_told(&events);
        assert_eq!(edges.len(), 1);
        assert_eq!(edges[0].child, "!b:b.example");
        assert_eq!(edges[0].via, ["b.example"]);
        assert!(!edges[0].stripped.get().contains("smuggled"));
    }
}
