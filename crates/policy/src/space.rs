//! The walk down a space: which rooms do curated edges lead to?

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, UserId};
use vestibule_types::{ClassName, limits};

use crate::{Policy, Rung, SpaceFinding};

/// A space of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceRule {
    /// The pinned id.
    pub id: OwnedRoomId,
    /// How many steps down count.
    pub depth: u32,
    /// Servers whose users' additions count; our own, unless the configuration names others.
    pub curator_servers: BTreeSet<OwnedServerName>,
    /// Users whose additions count.
    pub curator_users: BTreeSet<OwnedUserId>,
    /// Whether the system user stays in the space.
    pub follow: bool,
}

/// An `m.space.child` event in the current state of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildEdge {
    /// The room it points to.
    pub child: OwnedRoomId,
    /// Whether `via` names at least one server; without, the child counts as removed.
    pub has_via: bool,
    /// Who sent the event that is current.
    pub sender: Setter,
    /// Who first set this edge; clients send edges again when they reorder them.
    pub first_setter: Setter,
    /// Whether the operator approved the edge.
    pub approved: bool,
}

/// Somebody who sent an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setter {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their class, if they are ours and the account is known.
    pub class: Option<ClassName>,
}

/// The children of a space, as far as this server knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Children {
    /// We are in the space; these are the edges of its current state.
    Known {
        /// The edges, the ones with the smallest child ids first when there are too many.
        edges: Vec<ChildEdge>,
        /// Whether there are more than were asked for.
        truncated: bool,
    },
    /// We are not in the space.
    NotResident,
}

/// Where the walk gets the children of a space from.
pub trait SpaceChildren {
    /// What reading may fail with.
    type Error;

    /// The current edges of a space that are worth something, at most
    /// [`limits::SPACE_CHILDREN_MAX`] of them: what people who are no curators set takes no room from
    /// what curators did. Of all edges no more than [`limits::SPACE_EDGES_READ_MAX`] are looked at. A
    /// room that is not a space has none.
    fn children(
        &mut self,
        space: &RoomId,
        worth: &dyn Fn(&ChildEdge) -> bool,
    ) -> Result<Children, Self::Error>;
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceWalk {
    rooms: BTreeMap<OwnedRoomId, Option<OwnedRoomId>>,
    read: Vec<OwnedRoomId>,
    overflow: Vec<OwnedRoomId>,
    unknown: Vec<OwnedRoomId>,
    waiting: Vec<(OwnedRoomId, OwnedRoomId)>,
}

impl SpaceWalk {
    /// Every room that is inside, the space itself included.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.keys().map(|room| &**room)
    }

    /// The spaces whose children were read: a join asserts the guards of these.
    #[must_use]
    pub fn read(&self) -> &[OwnedRoomId] {
        &self.read
    }

    /// The spaces at which the walk met a bound; what lies beyond is out of scope.
    #[must_use]
    pub fn overflow(&self) -> &[OwnedRoomId] {
        &self.overflow
    }

    /// The spaces on the way that we are not in.
    #[must_use]
    pub fn unknown(&self) -> &[OwnedRoomId] {
        &self.unknown
    }

    /// Edges (space, child) that wait for approval: sent again by a curator, first set by another.
    #[must_use]
    pub fn waiting(&self) -> &[(OwnedRoomId, OwnedRoomId)] {
        &self.waiting
    }

    /// What the walk found about one room. `inside_ms_ago` tells when the room was last seen
    /// inside, for a space that cannot be read now.
    #[must_use]
    pub fn finding(&self, room: &RoomId, inside_ms_ago: Option<u64>) -> SpaceFinding {
        if self.rooms.contains_key(room) {
            return SpaceFinding::Inside { path: self.path(room) };
        }
        if !self.unknown.is_empty() {
            return SpaceFinding::Unknown { inside_ms_ago };
        }
        if self.overflow.is_empty() { SpaceFinding::Outside } else { SpaceFinding::Overflow }
    }

    fn path(&self, room: &RoomId) -> Vec<OwnedRoomId> {
        let mut path = vec![room.to_owned()];
        let mut at = room;
        // Every parent was met before its child, so this ends; the bound is for the reader.
        while let Some(Some(parent)) = self.rooms.get(at) {
            path.push(parent.clone());
            at = parent;
            if path.len() > limits::SPACE_ROOMS_MAX {
                break;
            }
        }
        path.reverse();
        path
    }
}

impl Policy {
    /// Walks down a space, breadth first, in an order that does not depend on the source.
    ///
    /// The walk reads each space once, at most [`limits::SPACE_ROOMS_MAX`] rooms in all and at most
    /// [`limits::SPACE_CHILDREN_MAX`] edges of each that count; beyond a bound everything is out of
    /// scope.
    pub fn walk_space<S: SpaceChildren>(
        &self,
        rule: &SpaceRule,
        source: &mut S,
    ) -> Result<SpaceWalk, S::Error> {
        let mut walk = SpaceWalk::default();
        walk.rooms.insert(rule.id.clone(), None);
        let mut queue = VecDeque::from([(rule.id.clone(), 0_u32)]);
        while let Some((space, depth)) = queue.pop_front() {
            if depth >= rule.depth {
                continue;
            }
            let worth = |edge: &ChildEdge| self.judge_edge(rule, edge) != EdgeJudgement::Ignored;
            match source.children(&space, &worth)? {
                Children::NotResident if depth == 0 => walk.unknown.push(space.clone()),
                // A child room we are not in is a room like any other: what lies below it is unknown
                // only if it is a space, and nobody can tell from here.
                Children::NotResident => {}
                Children::Known { edges, truncated } => {
                    if truncated || edges.len() > limits::SPACE_CHILDREN_MAX {
                        walk.overflow.push(space.clone());
                    }
                    let found = self.follow_edges(rule, &space, edges, &mut walk);
                    queue.extend(found.into_iter().map(|child| (child, depth + 1)));
                }
            }
            walk.read.push(space);
        }
        Ok(walk)
    }

    /// Takes in what the edges of one space lead to, and returns the rooms that are new.
    fn follow_edges(
        &self,
        rule: &SpaceRule,
        space: &RoomId,
        mut edges: Vec<ChildEdge>,
        walk: &mut SpaceWalk,
    ) -> Vec<OwnedRoomId> {
        let mut found = Vec::new();
        edges.sort_by(|a, b| a.child.cmp(&b.child));
        edges.truncate(limits::SPACE_CHILDREN_MAX);
        for edge in edges {
            match self.judge_edge(rule, &edge) {
                EdgeJudgement::Counts => {}
                EdgeJudgement::Waits => {
                    walk.waiting.push((space.to_owned(), edge.child));
                    continue;
                }
                EdgeJudgement::Ignored => continue,
            }
            if walk.rooms.contains_key(&edge.child) {
                continue;
            }
            if walk.rooms.len() >= limits::SPACE_ROOMS_MAX {
                walk.overflow.push(space.to_owned());
                break;
            }
            walk.rooms.insert(edge.child.clone(), Some(space.to_owned()));
            found.push(edge.child);
        }
        found
    }

    /// Whether one edge counts.
    #[must_use]
    pub fn judge_edge(&self, rule: &SpaceRule, edge: &ChildEdge) -> EdgeJudgement {
        if !edge.has_via {
            return EdgeJudgement::Ignored;
        }
        let sender_counts = self.is_curator(rule, &edge.sender);
        let first_counts = self.is_curator(rule, &edge.first_setter);
        match (sender_counts, first_counts, edge.approved) {
            (true, true, _) | (true, false, true) => EdgeJudgement::Counts,
            (true, false, false) => EdgeJudgement::Waits,
            (false, ..) => EdgeJudgement::Ignored,
        }
    }

    fn is_curator(&self, rule: &SpaceRule, setter: &Setter) -> bool {
        let user: &UserId = &setter.user_id;
        let listed =
            rule.curator_users.contains(user) || rule.curator_servers.contains(user.server_name());
        if !listed || user.server_name() != self.server_name() {
            return listed;
        }
        // Ours count by their class, whatever the room gives them.
        setter
            .class
            .as_ref()
            .and_then(|class| self.class(class))
            .is_some_and(|class| class.at_least(Rung::Moderator))
    }
}

/// What an edge is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeJudgement {
    /// It leads inside.
    Counts,
    /// A curator sent it again, but somebody else set it first: it waits for approval.
    Waits,
    /// Removed, or not by a curator.
    Ignored,
}
