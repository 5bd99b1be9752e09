//! The policy's cases as the join handler meets them.

use ruma::OwnedRoomId;
use serde_json::json;
use vestibule_rooms::{
    Administrator, AskError, CreateRoom, DirectoryError, MembershipError, Preset, SendError,
};
use vestibule_storage::StorageError;
use vestibule_types::{Actor, limits::SPACE_GRACE_MS};

use crate::support::{House, open_by_alias, user};

fn reason(refused: Result<(), MembershipError>) -> &'static str {
    match refused {
        Err(MembershipError::Ask(AskError::Denied(denial))) => denial.reason.code(),
        other => panic!("not a refusal of the policy: {other:?}"),
    }
}

#[tokio::test]
async fn a_guest_joins_where_a_door_is_open_and_talks_and_nowhere_else() {
    for slots in [1, 3] {
        let house = House::new(&open_by_alias(), slots);
        let alice = house.account("alice", "moderator").await;
        let guest = house.account("guest-aaaa", "guest").await;
        let (open, closed) = (house.open_room(&alice).await, house.open_room(&alice).await);
        house.alias(&alice, "welcome", &open).await.expect("named");

        house.join(&guest, &open).await.expect("the door is open");
        house.say(&guest, &open, "hello").await.expect("heard");
        assert_eq!(reason(house.join(&guest, &closed).await), "out_of_scope");
        let back_door = house
            .set(
                &guest,
                &closed,
                ("m.room.member", guest.user_id().as_str()),
                json!({
                    "membership": "join",
                }),
            )
            .await;
        assert!(matches!(back_door, Err(SendError::Membership(_) | SendError::Ask(_))));
        assert_eq!(house.membership(&closed, &guest).await, None);
        let name = house.state(&open, "m.room.member", guest.user_id().as_str()).await;
        assert_eq!(name.expect("a member")["displayname"], json!("guest-aaaa (guest)"));
        let kinds = house.timeline(&open).await;
        assert_eq!(kinds.last().map(String::as_str), Some("m.room.message"));
    }
}

#[tokio::test]
async fn an_alias_added_after_a_refusal_works_at_once_and_its_removal_freezes_then_evicts() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;

    assert_eq!(reason(house.join(&guest, &room).await), "out_of_scope");
    house.alias(&alice, "late", &room).await.expect("named");
    house.join(&guest, &room).await.expect("the door is open now");

    house.rooms.delete_alias(&alice, crate::support::alias("late")).await.expect("removed");
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("join"));
    house.say(&guest, &room, "still there?").await.expect_err("frozen");

    house.test.clock.advance(std::time::Duration::from_hours(24));
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
}

#[tokio::test]
async fn guests_leave_at_once_when_the_room_stops_admitting_guests() {
    let (house, alice, guest, room) = House::with_a_guest_by("welcome").await;

    house
        .set(&alice, &room, ("m.room.guest_access", ""), json!({ "guest_access": "forbidden" }))
        .await
        .expect("set");
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
    assert_eq!(house.membership(&room, &alice).await.as_deref(), Some("join"));
}

#[tokio::test]
async fn an_alias_by_somebody_without_the_right_is_refused_and_opens_nothing() {
    let house = House::new(&open_by_alias(), 1);
    let bob = house.account("bob", "member").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&bob).await;

    house.alias(&bob, "mine", &room).await.expect_err("members may not");
    assert_eq!(reason(house.join(&guest, &room).await), "out_of_scope");
}

#[tokio::test]
async fn an_invitation_does_not_open_a_door() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    let invite = vestibule_rooms::Invite {
        room_id: room.clone(),
        user_id: guest.user_id().to_owned(),
        reason: None,
    };
    house.rooms.invite(&alice, invite).await.expect_err("out of scope");
    assert_eq!(house.membership(&room, &guest).await, None);
}

#[tokio::test]
async fn a_door_that_opens_again_thaws_at_once_and_nobody_is_evicted() {
    let (house, alice, guest, room) = House::with_a_guest_by("door").await;
    house.rooms.delete_alias(&alice, crate::support::alias("door")).await.expect("removed");
    house.run_jobs().await;
    house.say(&guest, &room, "frozen").await.expect_err("no door");

    house.alias(&alice, "door", &room).await.expect("named again");
    house.say(&guest, &room, "thawed").await.expect("the door is open");
    house.run_jobs().await;
    house.test.clock.advance(std::time::Duration::from_hours(25));
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("join"));
}

#[tokio::test]
async fn an_alias_under_a_members_own_prefix_opens_nothing_even_adopted() {
    let config = crate::support::policy(
        r##"
        [guests]
        enabled = true
        [aliases]
        create = "moderator"
        members_may = ["#~{localpart}~*:home.test"]
        "##,
    );
    let house = House::new(&config, 1);
    let bob = house.account("bob", "member").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&bob).await;
    house.alias(&bob, "~bob~tea", &room).await.expect("his own prefix");
    assert_eq!(reason(house.join(&guest, &room).await), "out_of_scope");
    // Aliases under `members_may` never open, whoever vouches for them.
    let adopted = house.rooms.adopt_alias(&operator(), crate::support::alias("~bob~tea")).await;
    let Err(DirectoryError::Ask(AskError::Denied(denial))) = adopted else {
        panic!("nobody is told that it opens doors: {adopted:?}");
    };
    assert_eq!(denial.reason.code(), "alias_opens_nothing");
    assert_eq!(reason(house.join(&guest, &room).await), "out_of_scope");
    house
        .rooms
        .adopt_alias(&operator(), crate::support::alias("nothing"))
        .await
        .expect_err("unknown");
}

#[tokio::test]
async fn an_alias_that_later_rules_would_refuse_closes_until_an_operator_adopts_it() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    house.alias(&alice, "tea", &room).await.expect("named");

    let stricter =
        crate::support::policy("[guests]\nenabled = true\n[aliases]\ncreate = \"admin\"\n");
    house.swap_to(&stricter);
    assert_eq!(reason(house.join(&guest, &room).await), "out_of_scope");
    house.rooms.adopt_alias(&operator(), crate::support::alias("tea")).await.expect("adopted");
    house.join(&guest, &room).await.expect("the operator vouches for it");
}

#[tokio::test]
async fn an_alias_whose_maker_was_demoted_stays_open_and_is_told_of_until_it_is_adopted() {
    let house = House::new(&open_by_alias(), 1);
    let dora = house.account("dora", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&dora).await;
    house.alias(&dora, "dora", &room).await.expect("named");
    let told = async || {
        let doubts = house.rooms.doubts(false).await.expect("looked");
        let about = doubts.iter().filter(|doubt| doubt.key == "aliases.create");
        about.map(|doubt| doubt.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told().await, [""; 0]);

    house.account("dora", "member").await;
    house.join(&guest, &room).await.expect("a demotion closes nothing");
    let [doubt] = &told().await[..] else { panic!("one alias: {:?}", told().await) };
    assert!(
        doubt.contains("#dora:home.test") && doubt.contains("vestibule alias adopt"),
        "{doubt}"
    );
    house.rooms.adopt_alias(&operator(), crate::support::alias("dora")).await.expect("adopted");
    assert_eq!(told().await, [""; 0]);
}

#[tokio::test]
async fn who_is_no_admin_adopts_nothing() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let root = house.account("root", "admin").await;
    let named = house.open_room(&alice).await;
    house.alias(&alice, "tea", &named).await.expect("named");
    let tea = crate::support::alias("tea");
    let refused = house.rooms.adopt_alias(&Administrator::Admin(alice), tea.clone()).await;
    assert!(matches!(refused, Err(DirectoryError::Ask(_))), "{refused:?}");
    house.rooms.adopt_alias(&Administrator::Admin(root), tea).await.expect("an admin may");
}

fn operator() -> Administrator {
    Administrator::Operator(ruma::user_id!("@vestibule:home.test").to_owned())
}

#[tokio::test]
async fn a_space_we_are_not_in_is_a_doubt_and_nothing_in_it_can_be_approved() {
    let space = "!space:home.test";
    let config = crate::support::policy(&format!(
        "[guests]\nenabled = true\nopen_rooms_by = [\"space\"]\n\
         [[guests.space]]\nid = \"{space}\"\ndepth = 1\n[rooms]\n"
    ));
    let house = House::new(&config, 1);
    let doubts = house.rooms.doubts(false).await.expect("read");
    assert!(doubts.iter().any(|doubt| doubt.message.contains(space)), "{doubts:?}");
    let child = ruma::room_id!("!child:home.test").to_owned();
    let operator = operator();
    let unknown = house.rooms.approve_space_child(
        &operator,
        ruma::room_id!("!space:home.test").to_owned(),
        child,
    );
    unknown.await.expect_err("there is no such space");
}

/// A space with one room below it that guests may be in, made by `alice` and hosted by `bob`.
async fn house_by_space(slots: u16) -> (House, [OwnedRoomId; 2], [Actor; 3]) {
    let house = House::new(&open_by_alias(), slots);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let space = CreateRoom {
        creation_content: crate::support::content(json!({ "type": "m.space" })),
        preset: Some(Preset::PublicChat),
        ..CreateRoom::default()
    };
    let space = house.rooms.create_room(&alice, space).await.expect("a space").room_id;
    let room = house.open_room(&alice).await;
    house.join(&bob, &room).await.expect("public");
    let via = json!({ "via": ["home.test"] });
    house.set(&alice, &space, ("m.space.child", room.as_str()), via).await.expect("added");
    house.swap(&format!(
        "[guests]\nenabled = true\nopen_rooms_by = [\"space\"]\n\
         [[guests.space]]\nid = \"{space}\"\ndepth = 1\n"
    ));
    house.join(&guest, &room).await.expect("the space opens it");
    house.rooms.sweep_all().await.expect("swept");
    (house, [space, room], [alice, bob, guest])
}

#[tokio::test]
async fn guests_in_rooms_of_a_space_nobody_is_in_any_more_are_frozen_only_after_a_while() {
    for slots in [1, 3] {
        let (house, [space, room], [alice, _, guest]) = house_by_space(slots).await;
        let other = house.account("guest-bbbb", "guest").await;
        house.leave(&alice, &space).await;
        house.run_jobs().await;
        house.say(&guest, &room, "still there").await.expect("the room was inside just now");
        assert_eq!(reason(house.join(&other, &room).await), "scope_unknown");

        house.test.clock.advance(std::time::Duration::from_millis(SPACE_GRACE_MS + 1));
        house.say(&guest, &room, "too late").await.expect_err("nobody knows any more");
        house.rooms.sweep_all().await.expect("swept");
        house.test.clock.advance(std::time::Duration::from_hours(25));
        house.rooms.sweep_all().await.expect("swept");
        assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
    }
}

#[tokio::test]
async fn the_servers_own_user_stays_in_a_space_it_follows_and_leaves_when_it_does_not() {
    for slots in [1, 3] {
        let (house, [space, room], [alice, _, guest]) = house_by_space(slots).await;
        let other = house.account("guest-bbbb", "guest").await;
        let policy = |follow: bool| {
            format!(
                "[guests]\nenabled = true\nopen_rooms_by = [\"space\"]\n\
                 [[guests.space]]\nid = \"{space}\"\ndepth = 1\nfollow = {follow}\n"
            )
        };
        house.swap(&policy(true));
        for _ in 0..2 {
            house.rooms.follow_spaces().await.expect("told");
            house.run_jobs().await;
        }
        let own = |house: &House| {
            let user = "@vestibule:home.test".to_owned();
            let (rooms, space) = (house.rooms.clone(), space.clone());
            async move {
                let look = rooms.with_view::<_, StorageError, _>(&space, move |view| {
                    view.state_event("m.room.member", &user)
                });
                let member = look.await.expect("read").flatten().expect("it was in");
                member.pdu.content_as::<serde_json::Value>().expect("JSON")["membership"].clone()
            }
        };
        assert_eq!(own(&house).await, "join");
        house.leave(&alice, &space).await;
        house.test.clock.advance(std::time::Duration::from_millis(SPACE_GRACE_MS + 1));
        house.say(&guest, &room, "open").await.expect("the space can be read");
        house.join(&other, &room).await.expect("the space can be read");

        house.swap(&policy(false));
        house.rooms.follow_spaces().await.expect("told");
        house.run_jobs().await;
        assert_eq!(own(&house).await, "leave");
    }
}

#[tokio::test]
async fn a_room_taken_out_of_its_space_has_no_grace_when_the_space_is_left() {
    let (house, [space, room], [alice, _, guest]) = house_by_space(1).await;
    house.set(&alice, &space, ("m.space.child", room.as_str()), json!({})).await.expect("removed");
    house.leave(&alice, &space).await;
    house.say(&guest, &room, "out").await.expect_err("it was taken out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_made_in_the_same_moment_are_different_rooms() {
    let house = std::sync::Arc::new(House::threaded(&open_by_alias()));
    let alice = house.account("alice", "moderator").await;
    let mut making = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (house, alice) = (std::sync::Arc::clone(&house), alice.clone());
        making.spawn(async move { house.open_room(&alice).await });
    }
    let rooms: std::collections::BTreeSet<_> = making.join_all().await.into_iter().collect();
    assert_eq!(rooms.len(), 16);
}

#[tokio::test]
async fn a_members_refused_alias_is_in_the_ring_of_refusals() {
    let house = House::new(&open_by_alias(), 1);
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&bob).await;
    house.alias(&bob, "mine", &room).await.expect_err("members may not");
    let denials = house.rooms.ledger().denials(10).await.expect("read");
    assert!(
        denials
            .iter()
            .any(|it| it.action == "create_alias" && it.user_id == bob.user_id().as_str())
    );
}

#[tokio::test]
async fn the_ring_of_refusals_holds_so_many_and_the_oldest_go() {
    use vestibule_storage::{Scan, SlotNo, StorageError, tables::policy::DENIAL_BY_TIME};
    use vestibule_types::limits::AUDIT_DENIALS_MAX;

    let house = House::new(&open_by_alias(), 3);
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&bob).await;
    house.alias(&bob, "first", &room).await.expect_err("members may not");
    let first = house.rooms.ledger().denials(1).await.expect("read").remove(0);
    // A ring from before anybody counted, with more than it may hold.
    let too_many = AUDIT_DENIALS_MAX + 20;
    let fill = house.store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
        let row = DENIAL_BY_TIME.scan(&*tx, (), 1)?.remove(0).1;
        for number in 0..too_many {
            let stamp = tx.next_stamp();
            let at = first.at - u64::try_from(number + 1).unwrap();
            DENIAL_BY_TIME.put(tx, (at, 1, stamp), &row)?;
        }
        vestibule_storage::tables::policy::DENIALS_KEPT.delete(tx, (0,))
    });
    fill.await.expect("filled");
    for name in ["second", "third", "fourth"] {
        house.test.clock.advance(std::time::Duration::from_secs(1));
        house.alias(&bob, name, &room).await.expect_err("members may not");
    }
    let kept = house.store.read::<_, StorageError, _>(|read| {
        DENIAL_BY_TIME.scan_with(read, Scan::prefix(()).limit(2 * AUDIT_DENIALS_MAX))
    });
    assert_eq!(kept.await.expect("read").len(), AUDIT_DENIALS_MAX);
    let newest = house.rooms.ledger().denials(10).await.expect("read");
    assert_eq!(newest.iter().filter(|it| it.at >= first.at).count(), 4, "{newest:?}");
}

#[tokio::test]
async fn messages_to_many_strangers_are_one_refusal_and_users_without_devices_count() {
    use vestibule_rooms::{SendToDevice, SendToDeviceError};
    let house = House::new(&open_by_alias(), 3);
    let guest = house.account("guest-aaaaaaaaaaaaaaaa", "guest").await;
    let to = |count: usize, transaction: &str| SendToDevice {
        event_type: "m.room_key_request".to_owned(),
        transaction_id: transaction.to_owned(),
        messages: (0..count)
            .map(|n| (user(&format!("u{n}")), std::collections::BTreeMap::new()))
            .collect(),
    };
    let refused = house.rooms.send_to_device(&guest, to(1_001, "0")).await.unwrap_err();
    assert!(matches!(refused, SendToDeviceError::TooMany), "{refused}");
    for number in 0..30 {
        house.rooms.send_to_device(&guest, to(50, &format!("t{number}"))).await.expect("dropped");
    }
    let refused = house.rooms.send_to_device(&guest, to(50, "last")).await.unwrap_err();
    assert!(matches!(refused, SendToDeviceError::Limited(_)), "{refused}");
    let noted = house.rooms.ledger().denials(100).await.expect("read");
    assert_eq!(noted.len(), 30, "one row for each request");
}

#[tokio::test]
async fn a_request_to_many_devices_is_charged_once_and_before_any_of_it_is_delivered() {
    use vestibule_rooms::{SendToDevice, SendToDeviceError};
    use vestibule_storage::tables::to_device::TO_DEVICE;
    let config =
        crate::support::policy("[class.member]\nrates = { to_device = \"1/m per subject\" }");
    let house = House::new(&config, 3);
    let alice = house.account("alice", "member").await;
    let mut receivers = Vec::new();
    for name in ["bob", "carol", "dora"] {
        receivers.push(house.account(name, "member").await);
        let device = ruma::device_id!("PHONE");
        vestibule_testkit::put_device(&house.store, &user(name), device, None).await;
    }
    let to_all = |transaction: &str| {
        let content = || serde_json::value::to_raw_value(&json!({})).expect("JSON");
        let devices = || [("*".to_owned(), content())].into();
        SendToDevice {
            event_type: "org.test".to_owned(),
            transaction_id: transaction.to_owned(),
            messages: receivers.iter().map(|it| (it.user_id().to_owned(), devices())).collect(),
        }
    };
    let waiting = async || {
        let read =
            house.store.read::<_, StorageError, _>(|read| Ok(TO_DEVICE.scan(read, (), 100)?.len()));
        read.await.expect("read")
    };
    house.rooms.send_to_device(&alice, to_all("1")).await.expect("sent");
    assert_eq!(waiting().await, 3);
    let refused = house.rooms.send_to_device(&alice, to_all("2")).await.unwrap_err();
    assert!(matches!(refused, SendToDeviceError::Limited(_)), "{refused}");
    assert_eq!(waiting().await, 3);
}

#[tokio::test]
async fn what_would_be_refused_is_written_down_where_the_policy_only_observes() {
    let config = crate::support::policy(
        "[guests]\nenabled = true\n[aliases]\ncreate = \"moderator\"\n[audit]\nmode = \"observe\"\n",
    );
    let house = House::new(&config, 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    house.join(&guest, &room).await.expect("only observed");
    house.say(&guest, &room, "hello").await.expect("only observed");
    let denials = house.rooms.ledger().denials(10).await.expect("read");
    for (action, reason) in [("join", "out_of_scope"), ("send_event", "frozen")] {
        let row = denials.iter().find(|it| it.action == action).expect("written down");
        assert_eq!((row.observed, row.reason.as_str()), (true, reason));
    }
    assert!(denials.iter().all(|it| it.user_id == guest.user_id().as_str()), "{denials:?}");
}
