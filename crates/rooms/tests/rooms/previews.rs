//! What one finds of rooms and people before being with them, and where in a long history.

use std::time::Duration;

use ruma::{MilliSecondsSinceUnixEpoch, RoomOrAliasId, UInt};
use serde_json::json;
use vestibule_rooms::{
    CreateRoom, Direction, HierarchyQuery, Preset, ReadError, Report, Reported, Rooms,
};
use vestibule_types::{Actor, limits::MOMENT_SCAN_MAX};

use crate::support::{House, content, open_by_alias, policy};

fn of(room: &ruma::RoomId) -> HierarchyQuery {
    HierarchyQuery {
        room_id: room.to_owned(),
        from: None,
        limit: 50,
        max_depth: None,
        suggested_only: false,
    }
}

fn found(rooms: Result<vestibule_rooms::Hierarchy, ReadError>) -> Vec<ruma::OwnedRoomId> {
    let rooms = rooms.expect("shown").rooms;
    rooms.into_iter().map(|room| room.summary.room.room_id).collect()
}

async fn names(rooms: &Rooms, who: &Actor, term: &str) -> Vec<String> {
    let found = rooms.search_users(who, term, 10).await.expect("searched").users;
    found.iter().map(|user| user.user_id.localpart().to_owned()).collect()
}

#[tokio::test]
async fn a_guest_is_shown_the_rooms_of_its_scope_and_no_others() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let (open, closed) = (house.open_room(&alice).await, house.open_room(&alice).await);
    let create = CreateRoom {
        preset: Some(Preset::PublicChat),
        creation_content: content(json!({ "type": "m.space" })),
        ..CreateRoom::default()
    };
    let space = house.rooms.create_room(&alice, create).await.expect("created").room_id;
    for child in [&open, &closed] {
        let via = json!({ "via": [crate::support::HOME] });
        house.set(&alice, &space, ("m.space.child", child.as_str()), via).await.expect("set");
    }
    house.alias(&alice, "welcome", &open).await.expect("named");
    house.alias(&alice, "space", &space).await.expect("named");

    let mut all = found(house.rooms.hierarchy(&alice, of(&space)).await);
    all.sort();
    let mut expected = vec![space.clone(), open.clone(), closed.clone()];
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(found(house.rooms.hierarchy(&guest, of(&space)).await), [space, open.clone()]);
    let refused = house.rooms.hierarchy(&guest, of(&closed)).await;
    assert!(matches!(refused, Err(ReadError::NotMember)), "{refused:?}");
    let summary =
        house.rooms.room_summary(Some(&guest), <&RoomOrAliasId>::from(&*open), vec![]).await;
    assert_eq!(summary.expect("shown").membership, None);
    let hidden =
        house.rooms.room_summary(Some(&guest), <&RoomOrAliasId>::from(&*closed), vec![]).await;
    assert!(matches!(hidden, Err(ReadError::NotFound)), "{hidden:?}");
}

#[tokio::test]
async fn a_scoped_class_finds_only_people_in_rooms_of_its_scope() {
    let house = House::new(
        &policy(
            r##"
            [guests]
            enabled = true
            [aliases]
            create = "moderator"
            [class.external]
            inherits = "member"
            scope = { alias = "#*:home.test" }
            "##,
        ),
        1,
    );
    let alice = house.account("alice", "moderator").await;
    let (bob, carol) =
        (house.account("bob", "member").await, house.account("bobby", "member").await);
    let external = house.account("eve", "external").await;
    let (open, other) = (house.open_room(&alice).await, house.open_room(&alice).await);
    house.alias(&alice, "welcome", &open).await.expect("named");
    house.join(&bob, &open).await.expect("joined");
    house.join(&external, &open).await.expect("joined");
    house.join(&carol, &other).await.expect("joined");

    assert_eq!(names(&house.rooms, &external, "bob").await, ["bob"]);
    assert!(names(&house.rooms, &external, " @").await.is_empty());
    assert_eq!(names(&house.rooms, &alice, "bob").await, ["bob", "bobby"]);
}

#[tokio::test]
async fn a_guest_may_report_and_the_report_survives_beside_those_of_others() {
    for slots in [1, 3] {
        let house = House::new(&open_by_alias(), slots);
        let alice = house.account("alice", "moderator").await;
        let guest = house.account("guest-aaaa", "guest").await;
        for (who, reason) in [(&guest, "first"), (&alice, "second")] {
            let about = Reported::User(alice.user_id().to_owned());
            let report = Report { about, reason: reason.to_owned() };
            house.rooms.report(who, report).await.expect("taken");
            house.test.clock.advance(Duration::from_secs(1));
        }
        let reports = house.rooms.reports(10).await.expect("read");
        let reasons: Vec<_> = reports.iter().map(|report| report.reason.as_str()).collect();
        assert_eq!(reasons, ["second", "first"]);
    }
}

#[tokio::test]
async fn in_a_long_history_a_moment_is_found_by_halves() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let room = house.open_room(&alice).await;
    let begin = house.test.environment.now_ms();
    let count = u64::try_from(MOMENT_SCAN_MAX).expect("small") + 100;
    for _ in 0..count {
        house.test.clock.advance(Duration::from_secs(1));
        house.say(&alice, &room, "tick").await.expect("said");
    }
    let second = |number: u64| begin + number * 1_000;
    for (moment, direction, expected) in [
        (second(50), Direction::Forward, Some(second(50))),
        (second(50), Direction::Backward, Some(second(50))),
        (second(50) + 1, Direction::Forward, Some(second(51))),
        (second(50) - 1, Direction::Backward, Some(second(49))),
        (second(count), Direction::Forward, Some(second(count))),
        (second(count) + 1, Direction::Forward, None),
        (second(count) + 1, Direction::Backward, Some(second(count))),
        (begin - 1, Direction::Backward, None),
        (0, Direction::Forward, Some(begin)),
    ] {
        let at = MilliSecondsSinceUnixEpoch(UInt::new(moment).expect("a time"));
        let found = match house.rooms.event_at(&alice, &room, at, direction).await {
            Ok(found) => Some(u64::from(found.at.get())),
            Err(ReadError::NotFound) => None,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{direction:?} from {moment}");
    }
}
