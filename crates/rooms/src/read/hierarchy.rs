//! The rooms of a space, in depth-first order.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use vestibule_policy::Policy;
use vestibule_storage::{Read, Snapshot, StorageError};
use vestibule_types::{
    Actor,
    limits::{HIERARCHY_DEPTH_MAX, HIERARCHY_PAGE_MAX, SPACE_CHILDREN_MAX, SPACE_WALK_ROOMS_MAX},
};

use super::ReadError;
use crate::{BadToken, OpenRoom, RoomSummary, RoomView, Rooms, ask::Ask};

/// Which part of a space is wanted.
#[derive(Clone, Debug)]
pub struct HierarchyQuery {
    /// The space.
    pub room_id: OwnedRoomId,
    /// Where the previous page ended.
    pub from: Option<String>,
    /// At most so many rooms.
    pub limit: usize,
    /// No rooms that lie deeper.
    pub max_depth: Option<u64>,
    /// Only rooms the space suggests.
    pub suggested_only: bool,
}

/// A page of a space.
#[derive(Debug)]
pub struct Hierarchy {
    /// The rooms.
    pub rooms: Vec<SpaceRoom>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<String>,
}

/// A room of a space.
#[derive(Debug)]
pub struct SpaceRoom {
    /// What everybody is told of it.
    pub summary: RoomSummary,
    /// Its own `m.space.child` events, stripped, when it is a space.
    pub children: Vec<Box<RawValue>>,
}

/// Where a page ends: how many rooms were shown, and what they were chosen by. The two may not
/// change from page to page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HierarchyToken {
    shown: usize,
    max_depth: Option<u64>,
    suggested_only: bool,
}

impl fmt::Display for HierarchyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}_", self.shown)?;
        if let Some(depth) = self.max_depth {
            write!(f, "{depth}")?;
        }
        write!(f, "_{}", u8::from(self.suggested_only))
    }
}

impl FromStr for HierarchyToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let mut parts = text.strip_prefix('h').ok_or(BadToken)?.split('_');
        let mut part = || parts.next().ok_or(BadToken);
        let shown = part()?.parse().map_err(|_| BadToken)?;
        let max_depth = match part()? {
            "" => None,
            depth => Some(depth.parse().map_err(|_| BadToken)?),
        };
        let suggested_only = match part()? {
            "0" => false,
            "1" => true,
            _ => return Err(BadToken),
        };
        if parts.next().is_some() {
            return Err(BadToken);
        }
        Ok(Self { shown, max_depth, suggested_only })
    }
}

impl Rooms {
    /// A page of the rooms of a space, as far as the reader is in them or could get in. Rooms this
    /// server does not have are left out.
    pub async fn hierarchy(
        &self,
        actor: &Actor,
        query: HierarchyQuery,
    ) -> Result<Hierarchy, ReadError> {
        let (max_depth, suggested_only) = (query.max_depth, query.suggested_only);
        let beginning = HierarchyToken { shown: 0, max_depth, suggested_only };
        let from = query.from.as_deref().map(str::parse::<HierarchyToken>).transpose()?;
        let from = from.unwrap_or(beginning);
        if from != (HierarchyToken { shown: from.shown, ..beginning }) {
            return Err(BadToken.into());
        }
        let ask = self.onlooker(actor);
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let walk = Walk { rooms: &rooms, policy: &policy, reader: snapshot, ask: &ask };
                walk.page(&query, from)
            })
            .await
    }
}

/// A walk down a space, by somebody.
struct Walk<'w, 's> {
    rooms: &'w Rooms,
    policy: &'w Policy,
    reader: &'w Snapshot<'s>,
    ask: &'w Ask,
}

impl Walk<'_, '_> {
    fn page(&self, query: &HierarchyQuery, from: HierarchyToken) -> Result<Hierarchy, ReadError> {
        let limit = query.limit.clamp(1, HIERARCHY_PAGE_MAX);
        let depth_max = query.max_depth.unwrap_or(u64::MAX).min(HIERARCHY_DEPTH_MAX);
        let mut waiting = vec![(query.room_id.clone(), 0_u64)];
        let mut seen = BTreeSet::new();
        let mut rooms = Vec::new();
        let mut met = 0_usize;
        while let Some((room_id, depth)) = waiting.pop() {
            if seen.len() == SPACE_WALK_ROOMS_MAX || !seen.insert(room_id.clone()) {
                continue;
            }
            let Some((room, below)) = self.look(&room_id, query.suggested_only)? else {
                if depth == 0 {
                    return Err(ReadError::NotMember);
                }
                continue;
            };
            if rooms.len() == limit {
                let next = HierarchyToken { shown: met, ..from };
                return Ok(Hierarchy { rooms, next: Some(next.to_string()) });
            }
            if met >= from.shown {
                rooms.push(room);
            }
            met += 1;
            if depth < depth_max {
                waiting.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
            }
        }
        Ok(Hierarchy { rooms, next: None })
    }

    /// A room with its children in their order. `None` for one that is not for the asker.
    fn look(
        &self,
        room_id: &RoomId,
        suggested_only: bool,
    ) -> Result<Option<(SpaceRoom, Vec<OwnedRoomId>)>, ReadError> {
        let Some(room) = OpenRoom::load(self.reader, room_id)? else { return Ok(None) };
        let view = RoomView::new(self.rooms, self.reader, &room);
        let summary = view.summary()?;
        if !view.is_shown_to(self.policy, Some(self.ask), &summary)? {
            return Ok(None);
        }
        let mut edges = Vec::new();
        if summary.room_type.as_deref() == Some("m.space") {
            edges = view.space_children()?;
            edges.retain(|edge| edge.suggested || !suggested_only);
        }
        let mut children = Vec::with_capacity(edges.len());
        let mut below = Vec::with_capacity(edges.len());
        for edge in edges {
            children.push(edge.stripped);
            below.push(edge.child);
        }
        Ok(Some((SpaceRoom { summary, children }, below)))
    }
}

/// A child of a space.
pub(crate) struct Edge {
    /// The child.
    pub(crate) child: OwnedRoomId,
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

impl<R: Read> RoomView<'_, R> {
    /// The children of a space in the order it is shown in: by `order`, those without one last,
    /// then by age.
    pub(crate) fn space_children(&self) -> Result<Vec<Edge>, StorageError> {
        let state = self.full_state(self.room.head.state, Some("m.space.child"))?;
        let mut edges = Vec::new();
        for ((_, child), no) in state.into_iter().take(SPACE_CHILDREN_MAX) {
            let Ok(child) = OwnedRoomId::try_from(child) else { continue };
            let Some(event) = self.event(no)? else { continue };
            let content = self.shown_content(&event)?;
            let Ok(parsed) = serde_json::from_str::<ChildContent>(content.get()) else { continue };
            if parsed.via.is_empty() {
                continue;
            }
            let at = event.pdu.origin_server_ts().get().into();
            let stripped = to_raw_value(&StrippedChild {
                r#type: "m.space.child",
                state_key: child.as_str(),
                content: &content,
                sender: event.pdu.sender().as_str(),
                origin_server_ts: at,
            });
            let stripped = stripped
                .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
            let order = parsed.order.as_str().filter(|order| is_order(order));
            edges.push(Edge {
                order: order.map(ToOwned::to_owned),
                suggested: parsed.suggested == Value::Bool(true),
                child,
                at,
                stripped,
            });
        }
        edges.sort_by(|a, b| place(a).cmp(&place(b)));
        Ok(edges)
    }
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
    use super::*;

    #[test]
    fn a_token_is_read_back_as_it_was_written() {
        for (max_depth, suggested_only) in [(None, false), (Some(0), true), (Some(9), false)] {
            let token = HierarchyToken { shown: 7, max_depth, suggested_only };
            assert_eq!(token.to_string().parse(), Ok(token));
        }
        for bad in ["", "h", "h1", "h1_2", "h1_2_3", "hx__0", "h1__0_0", "t1__0"] {
            assert_eq!(bad.parse::<HierarchyToken>(), Err(BadToken), "{bad}");
        }
    }

    #[test]
    fn an_order_of_other_characters_or_too_long_counts_as_none() {
        assert!(is_order("") && is_order("a b~") && is_order(&"x".repeat(50)));
        assert!(!is_order("ä") && !is_order("a\n") && !is_order(&"x".repeat(51)));
    }
}
