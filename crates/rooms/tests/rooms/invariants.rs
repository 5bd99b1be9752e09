//! Invariants of the guest scope over random histories, and races between doors and joins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use proptest::prelude::*;
use ruma::OwnedRoomId;
use serde_json::json;
use vestibule_rooms::{Invite, Knock, Leave, Rooms, UpgradeRoom};
use vestibule_types::Actor;

use crate::support::{HOME, House, alias, policy};

/// The policy of these histories: one room is open by list, one alias is never open.
const POLICY: &str = r##"
    [guests]
    enabled = true
    open_rooms_by = ["alias", "list"]
    list = ["#listed:home.test"]
    never = ["#staff:home.test"]
    [aliases]
    create = "moderator"
    members_may = ["#~{localpart}~*:home.test"]
"##;

/// One step of a history. Numbers choose a room, a person or a name.
#[derive(Clone, Debug)]
enum Step {
    Name { by: u8, name: u8, room: u8 },
    Unname { by: u8, name: u8 },
    GuestAccess { room: u8, open: bool },
    JoinRule { room: u8, public: bool },
    Claim { room: u8, name: u8 },
    Invite { by: u8, room: u8 },
    Join { guest: u8, room: u8 },
    JoinByState { guest: u8, room: u8 },
    Knock { guest: u8, room: u8 },
    Leave { guest: u8, room: u8 },
    Upgrade { room: u8 },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..3, 0_u8..5, 0_u8..3).prop_map(|(by, name, room)| Step::Name { by, name, room }),
        2 => (0_u8..3, 0_u8..5).prop_map(|(by, name)| Step::Unname { by, name }),
        2 => (0_u8..3, any::<bool>()).prop_map(|(room, open)| Step::GuestAccess { room, open }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(room, public)| Step::JoinRule { room, public }),
        1 => (0_u8..3, 0_u8..5).prop_map(|(room, name)| Step::Claim { room, name }),
        2 => (0_u8..3, 0_u8..3).prop_map(|(by, room)| Step::Invite { by, room }),
        4 => (0_u8..2, 0_u8..3).prop_map(|(guest, room)| Step::Join { guest, room }),
        2 => (0_u8..2, 0_u8..3).prop_map(|(guest, room)| Step::JoinByState { guest, room }),
        1 => (0_u8..2, 0_u8..3).prop_map(|(guest, room)| Step::Knock { guest, room }),
        2 => (0_u8..2, 0_u8..3).prop_map(|(guest, room)| Step::Leave { guest, room }),
        1 => (0_u8..3).prop_map(|room| Step::Upgrade { room }),
        1 => Just(Step::Wait),
    ]
}

/// Names: two anybody with the right may give, a member's own, the listed one, the forbidden one.
const NAMES: [&str; 5] = ["tea", "oat", "~bob~x", "listed", "staff"];

/// What the history must obey, kept without asking the code under test.
#[derive(Default)]
struct Shadow {
    /// Where names lead, and whether whoever gave them had the right to open doors.
    names: BTreeMap<usize, (OwnedRoomId, bool)>,
    pinned: Option<OwnedRoomId>,
    never: BTreeSet<OwnedRoomId>,
}

impl Shadow {
    fn name(&mut self, name: usize, room: &OwnedRoomId, opens: bool) {
        self.names.insert(name, (room.clone(), opens));
        self.note(name, room);
    }

    fn note(&mut self, name: usize, room: &OwnedRoomId) {
        if NAMES[name] == "listed" {
            self.pinned.get_or_insert_with(|| room.clone());
        }
        if NAMES[name] == "staff" {
            self.never.insert(room.clone());
        }
    }

    fn in_scope(&self, room: &OwnedRoomId) -> bool {
        let named = self.names.values().any(|(to, opens)| to == room && *opens);
        (named || self.pinned.as_ref() == Some(room)) && !self.never.contains(room)
    }
}

struct Town {
    house: House,
    /// A moderator, a member and an admin.
    people: [Actor; 3],
    guests: [Actor; 2],
    rooms: Vec<OwnedRoomId>,
    shadow: Shadow,
}

impl Town {
    async fn new(slots: u16) -> Self {
        let house = House::new(&policy(POLICY), slots);
        let people = [
            house.account("alice", "moderator").await,
            house.account("bob", "member").await,
            house.account("root", "admin").await,
        ];
        let guests =
            [house.account("guest-a", "guest").await, house.account("guest-b", "guest").await];
        let mut rooms = Vec::new();
        for _ in 0..3 {
            let room = house.open_room(&people[0]).await;
            house.join(&people[1], &room).await.expect("public");
            rooms.push(room);
        }
        Self { house, people, guests, rooms, shadow: Shadow::default() }
    }

    async fn guests_in(&self) -> BTreeSet<(usize, OwnedRoomId)> {
        let mut joined = BTreeSet::new();
        for (no, guest) in self.guests.iter().enumerate() {
            for room in self.house.rooms.joined_rooms(guest).await.expect("read") {
                joined.insert((no, room));
            }
        }
        joined
    }

    async fn admits_guests(&self, room: &OwnedRoomId) -> bool {
        let access = self.house.state(room, "m.room.guest_access", "").await;
        access.is_some_and(|content| content["guest_access"] == "can_join")
    }

    async fn take(&mut self, step: &Step) {
        let house = &self.house;
        let room = |no: &u8| self.rooms[usize::from(*no)].clone();
        match step {
            Step::Name { by, name, room: no } => {
                let (person, to) = (&self.people[usize::from(*by)], room(no));
                let name = usize::from(*name);
                if house.alias(person, NAMES[name], &to).await.is_ok() {
                    let opens = *by != 1 && NAMES[name] != "~bob~x";
                    self.shadow.name(name, &to, opens);
                }
            }
            Step::Unname { by, name } => {
                let person = &self.people[usize::from(*by)];
                let name = usize::from(*name);
                if house.rooms.delete_alias(person, alias(NAMES[name])).await.is_ok() {
                    self.shadow.names.remove(&name);
                }
            }
            Step::GuestAccess { room: no, open } => {
                let access = if *open { "can_join" } else { "forbidden" };
                let value = json!({ "guest_access": access });
                let key = ("m.room.guest_access", "");
                drop(house.set(&self.people[0], &room(no), key, value).await);
            }
            Step::JoinRule { room: no, public } => {
                let rule = if *public { "public" } else { "knock" };
                let value = json!({ "join_rule": rule });
                let key = ("m.room.join_rules", "");
                drop(house.set(&self.people[0], &room(no), key, value).await);
            }
            Step::Claim { room: no, name } => {
                let value = json!({ "alias": alias(NAMES[usize::from(*name)]) });
                let key = ("m.room.canonical_alias", "");
                drop(house.set(&self.people[0], &room(no), key, value).await);
            }
            Step::Upgrade { room: no } => self.upgrade(usize::from(*no)).await,
            Step::Wait => {
                house.test.clock.advance(std::time::Duration::from_hours(25));
            }
            other => self.take_guest_step(other).await,
        }
    }

    async fn take_guest_step(&self, step: &Step) {
        let house = &self.house;
        let guest = |no: &u8| &self.guests[usize::from(*no)];
        let room_id = |no: &u8| self.rooms[usize::from(*no)].clone();
        match step {
            Step::Invite { by, room } => {
                let user_id = self.guests[0].user_id().to_owned();
                let invite = Invite { room_id: room_id(room), user_id, reason: None };
                drop(house.rooms.invite(&self.people[usize::from(*by)], invite).await);
            }
            Step::Join { guest: no, room } => drop(house.join(guest(no), &room_id(room)).await),
            Step::JoinByState { guest: no, room } => {
                let key = ("m.room.member", guest(no).user_id().as_str());
                let value = json!({ "membership": "join" });
                drop(house.set(guest(no), &room_id(room), key, value).await);
            }
            Step::Knock { guest: no, room } => {
                let knock = Knock { room_id: room_id(room), reason: None, via: Vec::new() };
                house.rooms.knock(guest(no), knock).await.expect_err("guests do not knock");
            }
            Step::Leave { guest: no, room } => {
                let leave = Leave { room_id: room_id(room), reason: None };
                drop(house.rooms.leave(guest(no), leave).await);
            }
            _ => {}
        }
    }

    async fn upgrade(&mut self, no: usize) {
        let old = self.rooms[no].clone();
        let command = UpgradeRoom {
            room_id: old.clone(),
            new_version: "12".to_owned(),
            additional_creators: Vec::new(),
        };
        let Ok(new) = self.house.rooms.upgrade_room(&self.people[0], command).await else { return };
        for (name, text) in NAMES.iter().enumerate() {
            let to = self.house.rooms.resolve_alias(&alias(text)).await.ok();
            let moved = self.shadow.names.get(&name).is_some_and(|(room, _)| *room == old);
            if moved && to.as_ref() == Some(&new) {
                // A moderator moved it, by permit; a member's own alias opens nothing all the same.
                self.shadow.name(name, &new, *text != "~bob~x");
            }
        }
        self.rooms[no] = new;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// No escape: a guest's membership turns `join` only where the room admits guests, the room is
    /// in scope, and it is not in `never`. Leave is always possible.
    #[test]
    fn a_guest_is_only_ever_let_in_through_an_open_door(
        steps in prop::collection::vec(step(), 1..40), slots in 1_u16..4
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut town = Town::new(slots).await;
            let mut before = town.guests_in().await;
            for step in &steps {
                town.take(step).await;
                let after = town.guests_in().await;
                for (guest, room) in after.difference(&before) {
                    assert!(town.admits_guests(room).await, "{step:?} let {guest} into {room}");
                    assert!(town.shadow.in_scope(room), "{step:?} let {guest} into {room}");
                }
                town.house.run_jobs().await;
                before = town.guests_in().await;
            }
            for (guest, room) in town.guests_in().await {
                let leave = Leave { room_id: room, reason: None };
                town.house.rooms.leave(&town.guests[guest], leave).await.expect("always possible");
            }
        });
    }

    /// Convergence: once every job has run and the grace is over, no guest is where no door is open.
    #[test]
    fn whoever_lost_their_door_is_out_after_the_grace(
        steps in prop::collection::vec(step(), 1..30)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut town = Town::new(1).await;
            for step in &steps {
                town.take(step).await;
            }
            town.house.run_jobs().await;
            town.house.test.clock.advance(std::time::Duration::from_hours(25));
            town.house.run_jobs().await;
            for (guest, room) in town.guests_in().await {
                assert!(town.admits_guests(&room).await, "{guest} is still in {room}");
                assert!(town.shadow.in_scope(&room), "{guest} is still in {room}");
            }
        });
    }
}

/// What somebody did to one door, when they began and ended, and what they were told.
#[derive(Clone, Copy, Debug)]
struct Done {
    what: Op,
    succeeded: bool,
    began: u64,
    ended: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Open,
    Close,
    Join,
}

/// Whether some order of these acts, no act before one that had ended when it began, explains every
/// answer.
fn explained(open: bool, done: &[Done]) -> bool {
    let Some(soonest_end) = done.iter().map(|act| act.ended).min() else { return true };
    (0..done.len()).any(|first| {
        let act = done[first];
        if act.began > soonest_end {
            return false;
        }
        let (expected, after) = match act.what {
            Op::Open => (!open, true),
            Op::Close => (open, false),
            Op::Join => (open, open),
        };
        let mut rest = done.to_vec();
        rest.remove(first);
        act.succeeded == expected && explained(after, &rest)
    })
}

#[test]
fn the_checker_itself_refuses_a_join_after_the_door_was_closed() {
    let act = |what, succeeded, began, ended| Done { what, succeeded, began, ended };
    assert!(!explained(true, &[act(Op::Close, true, 1, 2), act(Op::Join, true, 3, 4)]));
    assert!(explained(true, &[act(Op::Close, true, 1, 3), act(Op::Join, true, 2, 4)]));
    assert!(!explained(false, &[act(Op::Join, true, 1, 9)]));
}

/// Ten thousand rounds in which doors are opened and closed while guests join. Two services share
/// one store, so that nothing but the store's assertions keeps them in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doors_and_joins_are_linearizable() {
    const ROUNDS: usize = 10_000;
    let config = policy(
        r#"
        [guests]
        enabled = true
        [aliases]
        create = "moderator"
        [class.guest]
        rates = { message = "off", join = "off" }
        "#,
    );
    let house = Arc::new(House::threaded(&config));
    let other = Arc::new(house.second_service());
    let alice = house.account("alice", "moderator").await;
    let guests = [house.account("guest-a", "guest").await, house.account("guest-b", "guest").await];
    let mut room = house.open_room(&alice).await;
    let clock = Arc::new(AtomicU64::new(0));

    for round in 0..ROUNDS {
        if round % 500 == 0 {
            room = house.open_room(&alice).await;
        }
        let starts_open = house.rooms.resolve_alias(&alias("door")).await.ok();
        let open = starts_open.as_ref() == Some(&room);
        if starts_open.is_some() && !open {
            house.rooms.delete_alias(&alice, alias("door")).await.expect("closed");
        }
        let swing = if open { Op::Close } else { Op::Open };
        let mut acts = tokio::task::JoinSet::new();
        let services: [&Rooms; 2] = [&house.rooms, &other];
        let plan = [(swing, &alice, 0), (Op::Join, &guests[0], 1), (Op::Join, &guests[1], 0)];
        for (what, who, service) in plan {
            let (rooms, who) = (services[service].clone(), who.clone());
            let (room, clock) = (room.clone(), Arc::clone(&clock));
            acts.spawn(async move {
                let began = clock.fetch_add(1, Ordering::SeqCst);
                let succeeded = act(&rooms, what, &who, &room).await;
                Done { what, succeeded, began, ended: clock.fetch_add(1, Ordering::SeqCst) }
            });
        }
        let done = acts.join_all().await;
        assert!(explained(open, &done), "round {round}, open: {open}: {done:?}");
        for guest in &guests {
            let leave = Leave { room_id: room.clone(), reason: None };
            drop(house.rooms.leave(guest, leave).await);
        }
    }
}

async fn act(rooms: &Rooms, what: Op, who: &Actor, room: &OwnedRoomId) -> bool {
    match what {
        Op::Open => rooms.create_alias(who, alias("door"), room.clone()).await.is_ok(),
        Op::Close => rooms.delete_alias(who, alias("door")).await.is_ok(),
        Op::Join => {
            let command = vestibule_rooms::Join {
                room_id: room.clone(),
                reason: None,
                via: Vec::new(),
                proof: None,
            };
            rooms.join(who, command).await.is_ok()
        }
    }
}

#[tokio::test]
async fn nothing_a_remote_server_says_changes_where_our_aliases_lead() {
    let house = House::new(&policy(POLICY), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-a", "guest").await;
    let (named, claimed) = (house.open_room(&alice).await, house.open_room(&alice).await);
    house.alias(&alice, "tea", &named).await.expect("named");
    // The claim names an alias of ours that leads elsewhere: it is refused, and opens nothing.
    let value = json!({ "alias": format!("#tea:{HOME}") });
    let key = ("m.room.canonical_alias", "");
    house.set(&alice, &claimed, key, value).await.expect_err("leads elsewhere");
    house.join(&guest, &claimed).await.expect_err("no door");
    assert_eq!(house.rooms.resolve_alias(&alias("tea")).await.expect("known"), named);
}
