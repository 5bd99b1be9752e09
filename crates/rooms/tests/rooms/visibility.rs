//! History visibility, per event and per reader.

use ruma::RoomId;
use serde_json::json;
use vestibule_rooms::{Direction, Invite, Leave, MessagesQuery, ReadError};
use vestibule_types::Actor;

use crate::support::{House, open_by_alias};

/// The texts a reader finds in the whole history, oldest first; `None` when they may not read.
async fn reads(house: &House, who: &Actor, room: &RoomId) -> Option<Vec<String>> {
    let query = MessagesQuery {
        room_id: room.to_owned(),
        direction: Direction::Forward,
        from: None,
        to: None,
        limit: 1_000,
        filter: ruma::api::client::filter::RoomEventFilter::default(),
        related_by: vestibule_rooms::RelatedBy::default(),
    };
    match house.rooms.messages(who, query).await {
        Ok(page) => Some(
            page.chunk
                .iter()
                .filter_map(|event| {
                    let event: serde_json::Value = serde_json::from_str(event.get()).expect("JSON");
                    event["content"]["body"].as_str().map(ToOwned::to_owned)
                })
                .collect(),
        ),
        Err(ReadError::NotMember) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn invite(house: &House, by: &Actor, whom: &Actor, room: &RoomId) {
    let user_id = whom.user_id().to_owned();
    let command = Invite { room_id: room.to_owned(), user_id, reason: None };
    house.rooms.invite(by, command).await.expect("invited");
}

/// Alice talks before Bob is invited, while he is, while he is in, and after he left.
async fn history(visibility: &str) -> (House, Actor, Actor, Actor, ruma::OwnedRoomId) {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let carol = house.account("carol", "member").await;
    let room = house.open_room(&alice).await;
    let value = json!({ "history_visibility": visibility });
    house.set(&alice, &room, ("m.room.history_visibility", ""), value).await.expect("set");
    house.say(&alice, &room, "before").await.expect("sent");
    invite(&house, &alice, &bob, &room).await;
    house.say(&alice, &room, "invited").await.expect("sent");
    house.join(&bob, &room).await.expect("joined");
    house.say(&alice, &room, "joined").await.expect("sent");
    let leave = Leave { room_id: room.clone(), reason: None };
    house.rooms.leave(&bob, leave).await.expect("left");
    house.say(&alice, &room, "after").await.expect("sent");
    (house, alice, bob, carol, room)
}

#[tokio::test]
async fn who_left_sees_what_the_room_showed_them_until_then() {
    for (visibility, expected) in [
        ("joined", vec!["joined"]),
        ("invited", vec!["invited", "joined"]),
        ("shared", vec!["before", "invited", "joined"]),
        ("world_readable", vec!["before", "invited", "joined", "after"]),
    ] {
        let (house, alice, bob, _, room) = history(visibility).await;
        assert_eq!(reads(&house, &bob, &room).await.expect("was in"), expected, "{visibility}");
        let all = reads(&house, &alice, &room).await.expect("is in");
        assert_eq!(all, ["before", "invited", "joined", "after"]);
    }
}

#[tokio::test]
async fn who_was_never_in_reads_only_what_the_world_may() {
    for (visibility, readable) in [("joined", false), ("shared", false), ("world_readable", true)] {
        let (house, _, _, carol, room) = history(visibility).await;
        assert_eq!(reads(&house, &carol, &room).await.is_some(), readable, "{visibility}");
    }
}

#[tokio::test]
async fn each_event_keeps_the_visibility_it_was_sent_under() {
    let (house, alice, _, carol, room) = history("joined").await;
    let value = json!({ "history_visibility": "shared" });
    house.set(&alice, &room, ("m.room.history_visibility", ""), value).await.expect("set");
    house.say(&alice, &room, "shared now").await.expect("sent");
    house.join(&carol, &room).await.expect("joined");
    assert_eq!(reads(&house, &carol, &room).await.expect("is in"), ["shared now"]);
}

#[tokio::test]
async fn a_redacted_event_is_served_without_its_content_whoever_reads_it() {
    let (house, alice, _, _, room) = history("shared").await;
    let sent = vestibule_rooms::SendEvent {
        room_id: room.clone(),
        event_type: "m.room.message".to_owned(),
        content: crate::support::content(json!({ "msgtype": "m.text", "body": "secret" })),
        transaction_id: None,
        timestamp: None,
    };
    let event_id = house.rooms.send_event(&alice, sent).await.expect("sent");
    let redact = vestibule_rooms::Redact {
        room_id: room.clone(),
        event_id: event_id.clone(),
        content: crate::support::content(json!({ "reason": "oops" })),
        transaction_id: None,
    };
    house.rooms.redact(&alice, redact).await.expect("redacted");
    assert!(!reads(&house, &alice, &room).await.expect("is in").contains(&"secret".to_owned()));
    let shown = house.rooms.event(&alice, &room, &event_id).await.expect("visible");
    let shown: serde_json::Value = serde_json::from_str(shown.get()).expect("JSON");
    assert_eq!(shown["content"], json!({}));
    assert_eq!(shown["unsigned"]["redacted_because"]["content"]["reason"], "oops");
}
