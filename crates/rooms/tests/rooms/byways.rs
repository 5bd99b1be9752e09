//! What people who are trusted little cannot say or open by a road beside the one that is watched.

use std::sync::Arc;

use ruma::OwnedRoomId;
use serde_json::json;
use vestibule_rooms::{
    AskError, CreateRoom, CreateRoomError, InitialState, MembershipError, Preset, SendError,
};
use vestibule_types::Actor;

use crate::support::{House, content, policy, user};

fn reason(refused: Result<(), MembershipError>) -> &'static str {
    match refused {
        Err(MembershipError::Ask(AskError::Denied(denial))) => denial.reason.code(),
        other => panic!("not a refusal of the policy: {other:?}"),
    }
}

/// The content of somebody's membership.
async fn member(house: &House, room: &OwnedRoomId, who: &Actor) -> serde_json::Value {
    house.state(room, "m.room.member", who.user_id().as_str()).await.expect("a member")
}

#[tokio::test]
async fn a_guests_own_membership_says_its_name_and_nothing_else() {
    for (also, avatar) in
        [("", None), ("[class.guest]\nmay_also = ['set_avatar']", Some("mxc://a/b"))]
    {
        let config = format!("[guests]\nenabled = true\n[aliases]\ncreate = 'moderator'\n{also}");
        let house = House::new(&policy(&config), 1);
        let alice = house.account("alice", "moderator").await;
        let guest = house.account("guest-aaaa", "guest").await;
        let room = house.open_room(&alice).await;
        house.alias(&alice, "welcome", &room).await.expect("named");
        house.join(&guest, &room).await.expect("open");

        let rename = async |who: &Actor, reason: &str| {
            let me = who.user_id().to_string();
            let content = json!({
                "membership": "join", "displayname": "Ada", "avatar_url": "mxc://a/b",
                "reason": reason, "org.spam": "BUY", "is_direct": true,
                "third_party_invite": { "display_name": "BUY" },
            });
            house.set(who, &room, ("m.room.member", &me), content).await
        };
        rename(&guest, &"x".repeat(513)).await.expect_err("too long");
        rename(&guest, "hello").await.expect("renamed");
        let mut expected = json!({
            "membership": "join", "displayname": "Ada (guest)", "reason": "hello",
        });
        if let Some(avatar) = avatar {
            expected["avatar_url"] = json!(avatar);
        }
        assert_eq!(member(&house, &room, &guest).await, expected);
        // Who is trusted writes what a client likes to.
        rename(&alice, "hello").await.expect("renamed");
        assert_eq!(member(&house, &room, &alice).await["org.spam"], json!("BUY"));
    }
}

#[tokio::test]
async fn renames_in_a_room_cost_the_rate_of_the_profile() {
    let (house, _, guest, room) = House::with_a_guest_by("welcome").await;
    let me = guest.user_id().to_string();
    let mut limited = 0;
    for number in 0..8 {
        let content = json!({ "membership": "join", "displayname": format!("Ada {number}") });
        match house.set(&guest, &room, ("m.room.member", &me), content).await {
            Ok(()) => {}
            Err(SendError::Membership(MembershipError::Ask(AskError::Denied(denial)))) => {
                assert_eq!(denial.reason.code(), "rate_limited");
                limited += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(limited, 5, "3 at once");
}

#[tokio::test]
async fn a_frozen_guest_says_nothing_with_its_name_and_is_called_by_it_when_it_thaws() {
    let (house, alice, guest, room) = House::with_a_guest_by("door").await;
    house.rooms.delete_alias(&alice, crate::support::alias("door")).await.expect("removed");
    house.run_jobs().await;
    let before = member(&house, &room, &guest).await;
    let me = guest.user_id().to_string();
    let content = json!({ "membership": "join", "displayname": "SPAM" });
    house.set(&guest, &room, ("m.room.member", &me), content).await.expect_err("frozen");
    house.called(&guest, "SPAM").await;
    assert_eq!(member(&house, &room, &guest).await, before);

    house.alias(&alice, "door", &room).await.expect("named again");
    house.run_jobs().await;
    assert_eq!(member(&house, &room, &guest).await["displayname"], json!("SPAM (guest)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_in_as_many_rooms_as_it_may_however_many_it_asks_for_at_once() {
    let config = policy(
        "[guests]\nenabled = true\n[guests.caps]\nrooms_each = 3\n[aliases]\ncreate = 'moderator'\n\
         [class.guest.rates]\njoin = 'off'",
    );
    let house = Arc::new(House::threaded(&config));
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let mut rooms = Vec::new();
    for number in 0..8 {
        let room = house.open_room(&alice).await;
        house.alias(&alice, &format!("r{number}"), &room).await.expect("named");
        rooms.push(room);
    }
    let mut joining = tokio::task::JoinSet::new();
    for room in rooms {
        let (house, guest) = (Arc::clone(&house), guest.clone());
        joining.spawn(async move { house.join(&guest, &room).await });
    }
    let joined = joining.join_all().await.into_iter();
    let refused: Vec<_> = joined.filter(Result::is_err).map(reason).collect();
    assert_eq!(refused, ["cap_rooms_each"; 5]);
}

/// A policy with a class of members who make nothing public and name nothing, and one that is confined.
const NEWCOMERS: &str = "
    [aliases]
    create = 'moderator'
    members_may = ['#~{localpart}~*:home.test']
    [class.newcomer]
    inherits = 'member'
    may_not = ['create_room.public', 'publish', 'send_invite']
    [class.webchat]
    inherits = 'guest'
    scope = { list = ['!desk:home.test'] }
    may_also = ['create_room.dm', 'send_invite']
";

fn begins_with(kind: &str, key: &str, value: serde_json::Value) -> InitialState {
    InitialState { event_type: kind.to_owned(), state_key: key.to_owned(), content: content(value) }
}

async fn code(house: &House, who: &Actor, command: CreateRoom) -> &'static str {
    match house.rooms.create_room(who, command).await {
        Err(
            CreateRoomError::Ask(AskError::Denied(denial))
            | CreateRoomError::Invite(MembershipError::Ask(AskError::Denied(denial))),
        ) => denial.reason.code(),
        other => panic!("not a refusal of the policy: {other:?}"),
    }
}

#[tokio::test]
async fn who_may_make_no_public_room_makes_none_public_later_either() {
    let house = House::new(&policy(NEWCOMERS), 1);
    let new = house.account("new", "newcomer").await;
    let room = house.rooms.create_room(&new, CreateRoom::default()).await.expect("private").room_id;
    let rule = async |who: &Actor, rule: &str| {
        house.set(who, &room, ("m.room.join_rules", ""), json!({ "join_rule": rule })).await
    };
    let Err(SendError::Ask(AskError::Denied(denial))) = rule(&new, "public").await else {
        panic!("it is public");
    };
    assert_eq!(denial.reason.code(), "not_in_class");
    rule(&new, "knock").await.expect("nobody comes in by themselves");
    let creation_content = content(json!({ "type": "m.space" }));
    let space = CreateRoom { creation_content, ..CreateRoom::default() };
    let public = CreateRoom { preset: Some(Preset::PublicChat), ..space.clone() };
    house.rooms.create_room(&new, space).await.expect("a private space");
    assert_eq!(code(&house, &new, public).await, "not_in_class");
    let ada = house.account("new", "member").await;
    rule(&ada, "public").await.expect("members may");
}

#[tokio::test]
async fn what_a_new_room_is_refused_for_is_told() {
    let house = House::new(&policy(NEWCOMERS), 1);
    let new = house.account("new", "newcomer").await;
    let alias =
        |name: &str| CreateRoom { alias_localpart: Some(name.to_owned()), ..CreateRoom::default() };
    house.rooms.create_room(&new, alias("~new~tea")).await.expect("their own prefix");
    assert_eq!(code(&house, &new, alias("tea")).await, "alias_class_too_low");
    let shopper = house.account("shopper", "webchat").await;
    house.account("ada", "member").await;
    let dm = CreateRoom { is_direct: true, invite: vec![user("ada")], ..CreateRoom::default() };
    assert_eq!(code(&house, &shopper, dm).await, "out_of_scope");
}

#[tokio::test]
async fn nobody_is_in_a_new_room_by_somebody_elses_word() {
    let house = House::new(&policy(NEWCOMERS), 1);
    let ada = house.account("ada", "member").await;
    let make = async |who: &Actor, state: InitialState| {
        let command =
            CreateRoom { initial_state: vec![state], is_direct: true, ..CreateRoom::default() };
        house.rooms.create_room(who, command).await
    };
    for (kind, key, value) in [
        ("m.room.member", "@bob:home.test", json!({ "membership": "join" })),
        ("m.room.member", "@bob:home.test", json!({ "membership": "invite" })),
        ("m.room.member", "@bob:home.test", json!({ "membership": "ban" })),
        ("m.room.member", "@ada:home.test", json!({ "membership": "join", "org.spam": "BUY" })),
        ("m.room.member", "", json!({})),
        ("m.room.create", "", json!({ "room_version": "11" })),
    ] {
        let answer = make(&ada, begins_with(kind, key, value)).await;
        let refused = matches!(answer, Err(CreateRoomError::InvalidState(_)));
        assert!(refused, "{kind} {key}: {answer:?}");
    }
    let shopper = house.account("shopper", "webchat").await;
    let plain = CreateRoom { is_direct: true, ..CreateRoom::default() };
    let room = house.rooms.create_room(&shopper, plain).await.expect("a chat").room_id;
    assert_eq!(member(&house, &room, &shopper).await["displayname"], json!("shopper (guest)"));
}
