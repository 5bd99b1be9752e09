//! Purging old messages: what goes, and what everything else stands on.

use std::{collections::BTreeMap, time::Duration};

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::json;
use vestibule_events::Pdu;
use vestibule_rooms::{CreateRoom, Preset, PurgeHistoryError, Redact, SendEvent};
use vestibule_storage::{
    StorageError,
    tables::relation::RELATION_BY_TYPE,
    tables::room::{EVENT_BY_NO, RELATION_BY_PARENT},
};
use vestibule_types::{Actor, EventNo, limits::PURGE_BATCH_EVENTS};

use crate::support::{House, content, open_by_alias};

/// Every event of a room as it is stored, by number.
async fn stored(house: &House, room: &OwnedRoomId) -> Vec<Pdu> {
    house
        .rooms
        .with_view::<_, StorageError, _>(room, move |view| {
            let rows = EVENT_BY_NO.scan(&view.reader, (view.room.no,), usize::MAX)?;
            let version = view.room.version;
            // The id is worked out anew from what is stored.
            let parse = |json| Pdu::parse(json, version).expect("an event");
            Ok(rows.into_iter().map(|(_, row)| parse(row.json)).collect())
        })
        .await
        .expect("read")
        .unwrap_or_default()
}

type State = BTreeMap<(String, String), EventNo>;

/// What the room stands on: its ends, its state, and who authorizes whom.
async fn ground(house: &House, room: &OwnedRoomId) -> (Vec<EventNo>, State, Vec<Vec<EventNo>>) {
    house
        .rooms
        .with_view::<_, StorageError, _>(room, move |view| {
            let head = &view.room.head;
            let rows = EVENT_BY_NO.scan(&view.reader, (view.room.no,), usize::MAX)?;
            let auth = rows.into_iter().map(|(_, row)| row.auth).collect();
            Ok((head.extremities.clone(), view.full_state(head.state, None)?, auth))
        })
        .await
        .expect("read")
        .expect("a room")
}

async fn send(
    house: &House,
    who: &Actor,
    room: &OwnedRoomId,
    body: serde_json::Value,
) -> OwnedEventId {
    let command = SendEvent {
        room_id: room.clone(),
        event_type: "m.room.message".to_owned(),
        content: content(body),
        transaction_id: None,
        timestamp: None,
    };
    house.rooms.send_event(who, command).await.expect("sent")
}

fn texts(events: &[Pdu]) -> Vec<String> {
    let body = |pdu: &Pdu| {
        let content = pdu.content_as::<serde_json::Value>().expect("JSON");
        content["body"].as_str().map(str::to_owned)
    };
    events.iter().filter_map(body).collect()
}

#[tokio::test]
async fn old_messages_lose_their_content_and_nothing_else_changes() {
    for (version, slots) in [("3", 1), ("10", 3), ("11", 1), ("12", 3)] {
        let house = House::new(&open_by_alias(), slots);
        let owner = house.account("owner", "member").await;
        let command = CreateRoom {
            preset: Some(Preset::PublicChat),
            room_version: Some(version.to_owned()),
            ..CreateRoom::default()
        };
        let room = house.rooms.create_room(&owner, command).await.expect("created").room_id;
        // More than two batches, with state and a redaction between the messages.
        let old = PURGE_BATCH_EVENTS * 2;
        for number in 0..old {
            house.say(&owner, &room, &format!("old {number}")).await.expect("sent");
        }
        house
            .set(&owner, &room, ("m.room.topic", ""), json!({ "topic": "old topic" }))
            .await
            .expect("set");
        let target =
            send(&house, &owner, &room, json!({ "msgtype": "m.text", "body": "regretted" })).await;
        let redact = Redact {
            room_id: room.clone(),
            event_id: target,
            content: content(json!({ "reason": "a slip" })),
            transaction_id: None,
        };
        house.rooms.redact(&owner, redact).await.expect("redacted");
        house.test.clock.advance(Duration::from_mins(1));
        let cut = house.test.environment.now_ms();
        for number in 0..3 {
            house.say(&owner, &room, &format!("new {number}")).await.expect("sent");
        }

        let (before, events) = (ground(&house, &room).await, stored(&house, &room).await);
        house.rooms.purge_history(&room, cut).await.expect("lined up");
        house.run_jobs().await;

        assert_eq!(ground(&house, &room).await, before, "version {version}");
        let after = stored(&house, &room).await;
        assert_eq!(texts(&after), ["new 0", "new 1", "new 2"], "version {version}");
        for (was, is) in events.iter().zip(&after) {
            // Redaction keeps the id, and what the graph is made of.
            assert_eq!(was.event_id(), is.event_id());
            assert_eq!(was.prev_events(), is.prev_events());
            assert_eq!(was.depth(), is.depth());
            if was.state_key().is_some() || was.redacts().is_some() {
                assert_eq!(was.json(), is.json(), "state and redactions stay whole");
            }
        }
        let timeline = house.timeline(&room).await;
        assert_eq!(timeline.iter().filter(|it| *it == "m.room.message").count(), 3);
        assert!(timeline.contains(&"m.room.redaction".to_owned()));
        let topic = house.state(&room, "m.room.topic", "").await;
        assert_eq!(topic, Some(json!({ "topic": "old topic" })));
        // The room goes on from where it is.
        house.say(&owner, &room, "and on").await.expect("sent");
        assert_eq!(house.timeline(&room).await.len(), timeline.len() + 1);
    }
}

#[tokio::test]
async fn a_room_whose_ends_are_purged_goes_on() {
    let house = House::new(&open_by_alias(), 1);
    let owner = house.account("owner", "member").await;
    let room = house.open_room(&owner).await;
    house.say(&owner, &room, "the last word").await.expect("sent");
    house.test.clock.advance(Duration::from_mins(1));
    let now = house.test.environment.now_ms();
    house.rooms.purge_history(&room, now).await.expect("lined up");
    house.run_jobs().await;
    assert_eq!(texts(&stored(&house, &room).await), Vec::<String>::new());
    house.say(&owner, &room, "one more").await.expect("sent");
    let other = house.account("other", "member").await;
    house.join(&other, &room).await.expect("joined");
    assert_eq!(house.membership(&room, &other).await.as_deref(), Some("join"));
}

#[tokio::test]
async fn purged_events_are_no_relations_any_more() {
    let house = House::new(&open_by_alias(), 1);
    let owner = house.account("owner", "member").await;
    let room = house.open_room(&owner).await;
    let parent = send(&house, &owner, &room, json!({ "msgtype": "m.text", "body": "root" })).await;
    let reply = json!({
        "msgtype": "m.text",
        "body": "reply",
        "m.relates_to": { "rel_type": "m.thread", "event_id": parent },
    });
    send(&house, &owner, &room, reply.clone()).await;
    house.test.clock.advance(Duration::from_mins(1));
    let cut = house.test.environment.now_ms();
    send(&house, &owner, &room, reply).await;
    let relations = |house: &House| {
        let (rooms, room, parent) = (house.rooms.clone(), room.clone(), parent.clone());
        async move {
            let looked = rooms.with_view::<_, StorageError, _>(&room, move |view| {
                let key = (view.room.no, &parent);
                let all = RELATION_BY_PARENT.scan(&view.reader, key, 9)?.len();
                Ok((all, RELATION_BY_TYPE.scan(&view.reader, key, 9)?.len()))
            });
            looked.await.expect("read").expect("a room")
        }
    };
    assert_eq!(relations(&house).await, (2, 2));
    house.rooms.purge_history(&room, cut).await.expect("lined up");
    house.run_jobs().await;
    assert_eq!(relations(&house).await, (1, 1));
}

#[tokio::test]
async fn a_purge_goes_on_after_a_restart_and_may_run_twice() {
    let house = House::new(&open_by_alias(), 1);
    let owner = house.account("owner", "member").await;
    let room = house.open_room(&owner).await;
    for number in 0..PURGE_BATCH_EVENTS + 5 {
        house.say(&owner, &room, &format!("{number}")).await.expect("sent");
    }
    house.test.clock.advance(Duration::from_mins(1));
    let now = house.test.environment.now_ms();
    house.rooms.purge_history(&room, now).await.expect("lined up");
    house.rooms.purge_history(&room, now).await.expect("lined up");
    // Whoever runs the job knows nothing of who asked for it.
    let house = House { rooms: house.second_service(), ..house };
    house.run_jobs().await;
    assert_eq!(texts(&stored(&house, &room).await), Vec::<String>::new());
}

#[tokio::test]
async fn refuses_to_purge_what_is_not_here_or_not_past() {
    let house = House::new(&open_by_alias(), 1);
    let owner = house.account("owner", "member").await;
    let room = house.open_room(&owner).await;
    let now = house.test.environment.now_ms();
    let unknown = ruma::owned_room_id!("!nowhere:home.test");
    let refused = house.rooms.purge_history(&unknown, now).await;
    assert!(matches!(refused, Err(PurgeHistoryError::UnknownRoom)), "{refused:?}");
    let refused = house.rooms.purge_history(&room, now + 1).await;
    assert!(matches!(refused, Err(PurgeHistoryError::InTheFuture)), "{refused:?}");
}
