//! Events whose parents are not here, events that are here without their surroundings, and rooms with
//! many ends.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde_json::json;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_rooms::{EventKnown, Incoming, Leave, ReceiveError, Received, Staging};
use vestibule_storage::StorageError;
use vestibule_types::limits::EXTREMITIES_MAX;

use crate::{
    forks::{Away, ends_of, room_with_remote_admins, state_of},
    support::{House, user},
};

const EVE: &str = "@eve:away.test";
const TRENT: &str = "@trent:away.test";

fn said(away: &mut Away, sender: &str, text: &str, prev: &[OwnedEventId]) -> Pdu {
    let content = json!({ "msgtype": "m.text", "body": text });
    away.build(sender, ("m.room.message", None), content, prev)
}

/// The state before an event, as another server would tell it.
fn told(away: &Away, prev: &[OwnedEventId]) -> Arc<[OwnedEventId]> {
    away.state_before(prev).into_values().collect::<Vec<_>>().into()
}

async fn receive(house: &House, incoming: Incoming) -> Result<Received, ReceiveError> {
    let room = incoming.event.pdu().room_id().to_owned();
    house.rooms.receive_all(&room, vec![incoming]).await.pop().expect("an outcome")
}

async fn is_rejected(house: &House, room: &OwnedRoomId, id: &OwnedEventId) -> bool {
    let id = id.clone();
    house
        .rooms
        .with_view::<_, StorageError, _>(room, move |view| {
            Ok(view.event_by_id(&id)?.expect("here").pdu.rejected())
        })
        .await
        .expect("read")
        .expect("a room")
}

#[tokio::test]
async fn an_event_after_a_gap_is_judged_by_the_state_that_was_fetched() {
    for version in [RoomVersion::V6, RoomVersion::V12] {
        let (house, mut away, room) = room_with_remote_admins(version).await;
        let base = ends_of(&house, &room).await;
        let name = away.build(EVE, ("m.room.name", Some("")), json!({ "name": "unseen" }), &base);
        away.learn(name.clone());
        let lost = vec![name.event_id().clone()];
        let after = said(&mut away, EVE, "after the gap", &lost);
        away.learn(after.clone());

        let alone = receive(&house, Verified::unchecked_for_tests(after.clone()).into()).await;
        assert!(matches!(alone, Err(ReceiveError::Missing(ids)) if ids == lost));

        let left = house
            .rooms
            .store_outliers(&room, vec![Verified::unchecked_for_tests(name.clone())])
            .await
            .unwrap();
        assert!(left.is_empty(), "{left:?}");
        let known = house.rooms.known_events(&room, lost.clone()).await.expect("read");
        assert_eq!(known.get(&lost[0]), Some(&EventKnown::Outlier));
        let mut incoming = Incoming::from(Verified::unchecked_for_tests(after.clone()));
        incoming.fetched = vec![told(&away, &lost)];
        assert_eq!(receive(&house, incoming).await.expect("judged"), Received::Accepted);
        assert_eq!(ends_of(&house, &room).await.len(), 2, "the old end is not known to be before");
        assert_eq!(house.state(&room, "m.room.name", "").await, Some(json!({ "name": "unseen" })));

        // What filled the gap arrives late: it has its number, is judged, and is no end.
        let late =
            receive(&house, Verified::unchecked_for_tests(name).into()).await.expect("judged");
        assert_eq!(late, Received::Accepted);
        assert_eq!(ends_of(&house, &room).await, vec![after.event_id().clone()]);
        assert_eq!(state_of(&house, &room).await, away.state_before(&[after.event_id().clone()]));
    }
}

#[tokio::test]
async fn a_fetched_state_without_a_beginning_is_none() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let base = ends_of(&house, &room).await;
    let lost = said(&mut away, EVE, "lost", &base);
    away.learn(lost.clone());
    let after = said(&mut away, EVE, "after", &[lost.event_id().clone()]);
    let mut incoming = Incoming::from(Verified::unchecked_for_tests(after));
    incoming.fetched = vec![base.clone().into()];
    let outcome = receive(&house, incoming).await;
    assert!(matches!(outcome, Err(ReceiveError::NoState)), "{outcome:?}");
    assert_eq!(ends_of(&house, &room).await, base);
}

#[tokio::test]
async fn an_outlier_that_its_place_refuses_becomes_rejected_and_so_does_what_it_authorizes() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let base = ends_of(&house, &room).await;
    let ban = json!({ "membership": "ban" });
    let ban = away.build(EVE, ("m.room.member", Some(TRENT)), ban, &base);
    assert_eq!(away.send(&house, ban).await, Received::Accepted);
    let ends = ends_of(&house, &room).await;
    // Banned, trent renames himself, and names the membership from before the ban as his right to.
    let trent = UserId::parse(TRENT).expect("a user");
    let member = ("m.room.member", Some(TRENT));
    let renamed = json!({ "membership": "join", "displayname": "Not banned" });
    let renamed = away.build_by(trent, member, renamed, (&ends, &base));
    let id = renamed.event_id().clone();

    house
        .rooms
        .store_outliers(&room, vec![Verified::unchecked_for_tests(renamed.clone())])
        .await
        .expect("kept");
    assert!(!is_rejected(&house, &room, &id).await, "by its auth events alone it is allowed");
    let outcome = receive(&house, Verified::unchecked_for_tests(renamed.clone()).into())
        .await
        .expect("judged");
    assert!(matches!(outcome, Received::Rejected(_)), "{outcome:?}");
    assert!(is_rejected(&house, &room, &id).await);

    away.learn(renamed);
    let late = said(&mut away, TRENT, "by right of that", &[id]);
    let outcome =
        receive(&house, Verified::unchecked_for_tests(late.clone()).into()).await.expect("judged");
    assert!(matches!(outcome, Received::Rejected(_)), "{outcome:?}");
    let again = receive(&house, Verified::unchecked_for_tests(late).into()).await.expect("judged");
    assert_eq!(again, Received::Known);
}

#[tokio::test]
async fn the_ends_of_a_room_are_joined_in_silence_before_there_are_too_many() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V12).await;
    let base = ends_of(&house, &room).await;
    let shown = house.timeline(&room).await.len();
    for number in 0..3 * EXTREMITIES_MAX {
        let topic = json!({ "topic": format!("{number}") });
        let fork = away.build(EVE, ("m.room.topic", Some("")), topic, &base);
        let outcome =
            receive(&house, Verified::unchecked_for_tests(fork).into()).await.expect("judged");
        assert_eq!(outcome, Received::Accepted);
        let ends = ends_of(&house, &room).await.len();
        assert!(ends <= EXTREMITIES_MAX, "{ends} ends");
    }
    assert_eq!(house.timeline(&room).await.len(), shown + 3 * EXTREMITIES_MAX);
    let alice = vestibule_testkit::actor(&user("alice"));
    house.say(&alice, &room, "all together").await.expect("sent");
    assert_eq!(ends_of(&house, &room).await.len(), 1);
}

#[tokio::test]
async fn where_nobody_of_ours_may_join_the_ends_their_number_is_bounded_all_the_same() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let alice = vestibule_testkit::actor(&user("alice"));
    let leave = Leave { room_id: room.clone(), reason: None };
    house.rooms.leave(&alice, leave).await.expect("left");
    away.catch_up(&house).await;
    let base = ends_of(&house, &room).await;
    for number in 0..2 * EXTREMITIES_MAX {
        let fork = said(&mut away, EVE, &format!("{number}"), &base);
        let outcome =
            receive(&house, Verified::unchecked_for_tests(fork).into()).await.expect("judged");
        assert_eq!(outcome, Received::Accepted);
    }
    assert_eq!(ends_of(&house, &room).await.len(), EXTREMITIES_MAX);
}

#[tokio::test]
async fn an_event_that_waits_leaves_the_table_when_it_is_judged() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let base = ends_of(&house, &room).await;
    let first = said(&mut away, EVE, "first", &base);
    away.learn(first.clone());
    let second = said(&mut away, EVE, "second", &[first.event_id().clone()]);
    let origin = ruma::server_name!("away.test");
    for _ in 0..2 {
        let waiting = vec![Verified::unchecked_for_tests(second.clone())];
        let staged = house.rooms.stage(&room, origin, waiting).await.expect("stored");
        assert_eq!(staged, vec![Staging::Stored]);
    }
    assert_eq!(house.rooms.rooms_with_staged().await.expect("read"), vec![room.clone()]);
    let waiting = house.rooms.staged(&room).await.expect("read");
    assert_eq!(waiting.len(), 1, "once, however often it came");
    let incoming = Incoming {
        staged: Some((waiting[0].origin.clone(), waiting[0].stamp)),
        ..Incoming::from(waiting[0].event.clone())
    };
    let outcome = receive(&house, incoming.clone()).await;
    assert!(matches!(outcome, Err(ReceiveError::Missing(_))), "{outcome:?}");
    assert_eq!(house.rooms.staged(&room).await.expect("read").len(), 1, "it goes on waiting");

    let batch = vec![Incoming::from(Verified::unchecked_for_tests(first)), incoming];
    let outcomes = house.rooms.receive_all(&room, batch).await;
    assert!(outcomes.iter().all(|it| matches!(it, Ok(Received::Accepted))), "{outcomes:?}");
    assert!(house.rooms.staged(&room).await.expect("read").is_empty());
    assert!(house.rooms.rooms_with_staged().await.expect("read").is_empty());
}
