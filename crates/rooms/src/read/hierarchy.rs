//! The rooms of a space, in depth-first order.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ruma::{OwnedRoomId, OwnedServerName, RoomId};
use serde_json::value::RawValue;
use vestibule_policy::Policy;
use vestibule_storage::Snapshot;
use vestibule_types::{
    Actor,
    limits::{HIERARCHY_ASKED_MAX, HIERARCHY_DEPTH_MAX, HIERARCHY_PAGE_MAX, SPACE_WALK_ROOMS_MAX},
};

use super::{ReadError, hierarchy_elsewhere::WantedSpace, space_child::Edge};
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
    /// A page of the rooms of a space, as far as the reader is in them or could get in. Of rooms this
    /// server is not in, other servers are asked, if the policy lets the reader cause that; rooms of
    /// which nothing is learned are left out.
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
        let mut may_ask = HIERARCHY_ASKED_MAX;
        loop {
            let (page, mut wanted) = self.known_hierarchy(actor, query.clone(), from).await?;
            wanted.truncate(may_ask);
            if wanted.is_empty() {
                return page;
            }
            may_ask -= wanted.len();
            self.learn_spaces(wanted).await;
        }
    }

    /// The page by what is known now, and what would have to be asked to know more.
    async fn known_hierarchy(
        &self,
        actor: &Actor,
        query: HierarchyQuery,
        from: HierarchyToken,
    ) -> Result<(Result<Hierarchy, ReadError>, Vec<WantedSpace>), ReadError> {
        let ask = self.onlooker(actor);
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let wanted = Vec::new();
                let mut walk =
                    Walk { rooms: &rooms, policy: &policy, reader: snapshot, ask: &ask, wanted };
                let page = walk.page(&query, from);
                Ok((page, walk.wanted))
            })
            .await
    }
}

/// A walk down a space, by somebody.
pub(super) struct Walk<'w, 's> {
    pub(super) rooms: &'w Rooms,
    pub(super) policy: &'w Policy,
    pub(super) reader: &'w Snapshot<'s>,
    pub(super) ask: &'w Ask,
    /// The rooms that other servers would have to be asked about.
    pub(super) wanted: Vec<WantedSpace>,
}

impl Walk<'_, '_> {
    fn page(
        &mut self,
        query: &HierarchyQuery,
        from: HierarchyToken,
    ) -> Result<Hierarchy, ReadError> {
        let limit = query.limit.clamp(1, HIERARCHY_PAGE_MAX);
        let depth_max = query.max_depth.unwrap_or(u64::MAX).min(HIERARCHY_DEPTH_MAX);
        let mut waiting = vec![(query.room_id.clone(), Vec::new(), 0_u64)];
        let mut seen = BTreeSet::new();
        let mut rooms = Vec::new();
        let mut met = 0_usize;
        while let Some((room_id, via, depth)) = waiting.pop() {
            if seen.len() == SPACE_WALK_ROOMS_MAX || !seen.insert(room_id.clone()) {
                continue;
            }
            let Some((summary, mut edges)) = self.look(&room_id, via)? else {
                if depth == 0 {
                    return Err(ReadError::NotMember);
                }
                continue;
            };
            edges.retain(|edge| edge.suggested || !query.suggested_only);
            if rooms.len() == limit {
                let next = HierarchyToken { shown: met, ..from };
                return Ok(Hierarchy { rooms, next: Some(next.to_string()) });
            }
            let (children, below) = taken_apart(edges);
            if met >= from.shown {
                rooms.push(SpaceRoom { summary, children });
            }
            met += 1;
            if depth < depth_max {
                waiting.extend(below.into_iter().rev().map(|(room, via)| (room, via, depth + 1)));
            }
        }
        Ok(Hierarchy { rooms, next: None })
    }

    /// A room with its children in their order. `None` for one that is not for the asker, or of
    /// which nothing is known.
    pub(super) fn look(
        &mut self,
        room_id: &RoomId,
        via: Vec<OwnedServerName>,
    ) -> Result<Option<(RoomSummary, Vec<Edge>)>, ReadError> {
        let room = OpenRoom::load(self.reader, room_id)?;
        let view = room.as_ref().map(|room| RoomView::new(self.rooms, self.reader, room));
        let fresh = match &view {
            Some(view) => view.is_resident()?,
            None => false,
        };
        if !fresh && let Some(told) = self.look_elsewhere(room_id, via, room.as_ref())? {
            return Ok(Some(told));
        }
        let Some(view) = view else { return Ok(None) };
        let summary = view.summary()?;
        if !view.is_shown_to(self.policy, Some(self.ask), &summary)? {
            return Ok(None);
        }
        let edges = if summary.is_space() { view.space_children()? } else { Vec::new() };
        Ok(Some((summary, edges)))
    }
}

/// What is shown of children, and where the walk goes on.
type TakenApart = (Vec<Box<RawValue>>, Vec<(OwnedRoomId, Vec<OwnedServerName>)>);

fn taken_apart(edges: Vec<Edge>) -> TakenApart {
    edges.into_iter().map(|edge| (edge.stripped, (edge.child, edge.via))).unzip()
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
}
