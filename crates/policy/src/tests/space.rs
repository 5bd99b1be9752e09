//! The walk down a space.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use proptest::prelude::*;
use ruma::OwnedUserId;
use vestibule_types::limits;

use super::*;
use crate::{ChildEdge, Children, EdgeJudgement, Setter, SpaceChildren, SpaceFinding, SpaceWalk};

/// Spaces as a map from parent to edges; what is not in it is not resident.
#[derive(Default)]
struct Spaces {
    edges: BTreeMap<OwnedRoomId, Vec<ChildEdge>>,
    reads: usize,
}

impl SpaceChildren for Spaces {
    type Error = Infallible;

    fn children(
        &mut self,
        space: &RoomId,
        worth: &dyn Fn(&ChildEdge) -> bool,
    ) -> Result<Children, Infallible> {
        self.reads += 1;
        let limit = limits::SPACE_CHILDREN_MAX;
        Ok(self.edges.get(space).map_or(Children::NotResident, |edges| {
            let mut edges: Vec<_> = edges.iter().filter(|edge| worth(edge)).cloned().collect();
            edges.sort_by(|a, b| a.child.cmp(&b.child));
            let truncated = edges.len() > limit;
            edges.truncate(limit);
            Children::Known { edges, truncated }
        }))
    }
}

fn room(number: usize) -> OwnedRoomId {
    RoomId::parse(format!("!r{number:06}:home.test")).unwrap()
}

fn setter(user: &str, class: Option<&str>) -> Setter {
    let user_id: OwnedUserId = UserId::parse(user).unwrap();
    Setter { user_id, class: class.map(ClassName::new) }
}

fn edge(child: usize, sender: &Setter) -> ChildEdge {
    ChildEdge {
        child: room(child),
        has_via: true,
        sender: sender.clone(),
        first_setter: sender.clone(),
        approved: false,
    }
}

fn curator() -> Setter {
    setter("@mo:home.test", Some("moderator"))
}

fn with_space(depth: u32, curators: &str) -> Policy {
    policy(&format!(
        "[guests]\nenabled = true\nopen_rooms_by = ['space']\n[[guests.space]]\n\
         id = '!r000000:home.test'\ndepth = {depth}\ncurators = [{curators}]"
    ))
}

fn walk(policy: &Policy, spaces: &mut Spaces) -> SpaceWalk {
    let rule = &policy.spaces_of(&ClassName::guest())[0];
    policy.walk_space(rule, spaces).unwrap()
}

fn inside(walk: &SpaceWalk) -> Vec<OwnedRoomId> {
    walk.rooms().map(ToOwned::to_owned).collect()
}

#[test]
fn curated_edges_lead_inside_and_tell_the_way() {
    let policy = with_space(2, "");
    let mut spaces = Spaces::default();
    spaces.edges.insert(room(0), vec![edge(1, &curator()), edge(2, &curator())]);
    spaces.edges.insert(room(2), vec![edge(3, &curator())]);
    spaces.edges.insert(room(3), vec![edge(4, &curator())]);
    let walk = walk(&policy, &mut spaces);
    assert_eq!(inside(&walk), [room(0), room(1), room(2), room(3)], "depth 2");
    let path = vec![room(0), room(2), room(3)];
    assert_eq!(walk.finding(&room(3), None), SpaceFinding::Inside { path });
    assert_eq!(walk.finding(&room(4), None), SpaceFinding::Outside);
    assert_eq!(walk.read(), [room(0), room(1), room(2)]);
}

#[test]
fn who_counts_as_a_curator() {
    use EdgeJudgement::{Counts, Ignored, Waits};
    let strict = with_space(1, "");
    let open = with_space(1, "'home.test', 'friend.test', '@zoe:far.test', '@ada:home.test'");
    let moderator = curator();
    let member = setter("@ada:home.test", Some("member"));
    let unknown = setter("@mo:home.test", None);
    let friend = setter("@x:friend.test", None);
    let zoe = setter("@zoe:far.test", None);
    let stranger = setter("@y:far.test", Some("admin"));
    for (policy, sender, expected) in [
        (&strict, &moderator, Counts),
        (&strict, &member, Ignored),
        (&strict, &unknown, Ignored),
        (&strict, &friend, Ignored),
        (&open, &moderator, Counts),
        (&open, &member, Ignored),
        (&open, &friend, Counts),
        (&open, &zoe, Counts),
        (&open, &stranger, Ignored),
    ] {
        let rule = &policy.spaces_of(&ClassName::guest())[0];
        assert_eq!(policy.judge_edge(rule, &edge(1, sender)), expected, "{sender:?}");
    }
    let rule = &open.spaces_of(&ClassName::guest())[0];
    let resent = ChildEdge { first_setter: stranger.clone(), ..edge(1, &moderator) };
    assert_eq!(open.judge_edge(rule, &resent), Waits);
    let approved = ChildEdge { approved: true, ..resent };
    assert_eq!(open.judge_edge(rule, &approved), Counts);
    let taken_over =
        ChildEdge { approved: true, first_setter: moderator.clone(), ..edge(1, &stranger) };
    assert_eq!(open.judge_edge(rule, &taken_over), Ignored, "approval is not for strangers' edges");
    let removed = ChildEdge { has_via: false, ..edge(1, &moderator) };
    assert_eq!(open.judge_edge(rule, &removed), Ignored);
}

#[test]
fn edges_that_wait_are_told() {
    let policy = with_space(1, "");
    let stranger = setter("@ada:home.test", Some("member"));
    let mut spaces = Spaces::default();
    let resent = ChildEdge { first_setter: stranger, ..edge(1, &curator()) };
    spaces.edges.insert(room(0), vec![resent]);
    let walk = walk(&policy, &mut spaces);
    assert_eq!(walk.waiting(), [(room(0), room(1))]);
    assert_eq!(inside(&walk), [room(0)]);
}

#[test]
fn a_space_we_are_not_in_is_unknown() {
    let walk = walk(&with_space(1, ""), &mut Spaces::default());
    assert_eq!(walk.unknown(), [room(0)]);
    assert_eq!(walk.finding(&room(1), Some(5)), SpaceFinding::Unknown { inside_ms_ago: Some(5) });
}

#[test]
fn loops_end() {
    let policy = with_space(8, "");
    let mut spaces = Spaces::default();
    for number in 0..3 {
        let edges = (0..3).map(|child| edge(child, &curator())).collect();
        spaces.edges.insert(room(number), edges);
    }
    let walk = walk(&policy, &mut spaces);
    assert_eq!(inside(&walk), [room(0), room(1), room(2)]);
    assert_eq!(spaces.reads, 3);
    let path = vec![room(0), room(2)];
    assert_eq!(walk.finding(&room(2), None), SpaceFinding::Inside { path });
}

#[test]
fn ten_thousand_children_overflow_and_what_lies_beyond_is_out() {
    let policy = with_space(1, "");
    let mut spaces = Spaces::default();
    spaces.edges.insert(room(0), (1..=10_000).map(|child| edge(child, &curator())).collect());
    let walk = walk(&policy, &mut spaces);
    assert!(inside(&walk).len() <= limits::SPACE_ROOMS_MAX);
    assert!(!walk.overflow().is_empty());
    assert_eq!(walk.finding(&room(10_000), None), SpaceFinding::Overflow);
    assert!(matches!(walk.finding(&room(1), None), SpaceFinding::Inside { .. }));
}

#[test]
fn edges_that_count_for_nothing_take_no_room_from_those_that_do() {
    let policy = with_space(1, "");
    let mut spaces = Spaces::default();
    let member = setter("@ada:home.test", Some("member"));
    let mut edges: Vec<_> = (1..=9_000).map(|child| edge(child, &member)).collect();
    edges.push(edge(9_001, &curator()));
    spaces.edges.insert(room(0), edges);
    let walk = walk(&policy, &mut spaces);
    assert!(walk.overflow().is_empty());
    assert_eq!(inside(&walk), [room(0), room(9_001)]);
}

prop_compose! {
    fn graph()(edges in prop::collection::vec(
        (0_usize..12, 0_usize..12, any::<bool>(), 0_usize..3, 0_usize..3, any::<bool>()), 0..80
    )) -> BTreeMap<OwnedRoomId, Vec<ChildEdge>> {
        let people = [curator(), setter("@ada:home.test", Some("member")), setter("@x:far.test", None)];
        let mut graph: BTreeMap<OwnedRoomId, Vec<ChildEdge>> = BTreeMap::new();
        for (parent, child, has_via, sender, first, approved) in edges {
            let edges = graph.entry(room(parent)).or_default();
            if edges.iter().any(|edge| edge.child == room(child)) {
                continue;
            }
            edges.push(ChildEdge {
                child: room(child), has_via, approved,
                sender: people[sender].clone(), first_setter: people[first].clone(),
            });
        }
        graph
    }
}

proptest! {
    #[test]
    fn the_walk_is_bounded_and_finds_what_curated_edges_reach(edges in graph(), depth in 1_u32..5) {
        let policy = with_space(depth, "");
        let rule = policy.spaces_of(&ClassName::guest())[0].clone();
        let mut spaces = Spaces { edges: edges.clone(), reads: 0 };
        let walk = policy.walk_space(&rule, &mut spaces).unwrap();
        prop_assert!(spaces.reads <= 12, "each space once");

        // The obvious way: widen the set once per step down.
        let mut reached = BTreeSet::from([room(0)]);
        for _ in 0..depth {
            let step: Vec<_> = reached
                .iter()
                .filter_map(|parent| edges.get(parent))
                .flatten()
                .filter(|edge| policy.judge_edge(&rule, edge) == EdgeJudgement::Counts)
                .map(|edge| edge.child.clone())
                .collect();
            reached.extend(step);
        }
        prop_assert_eq!(inside(&walk), reached.iter().cloned().collect::<Vec<_>>());
        for room in &reached {
            let SpaceFinding::Inside { path } = walk.finding(room, None) else {
                return Err(TestCaseError::fail("inside"));
            };
            prop_assert!(path.len() <= depth as usize + 1);
            prop_assert_eq!(path.last(), Some(room));
            for pair in path.windows(2) {
                let counts = edges[&pair[0]].iter().any(|edge| {
                    edge.child == pair[1] && policy.judge_edge(&rule, edge) == EdgeJudgement::Counts
                });
                prop_assert!(counts, "each step of the path is a curated edge");
            }
        }
    }
}
