//! How far somebody has read.

use ruma::{OwnedEventId, RoomId};
use serde_json::{Value, json};
use vestibule_rooms::{NoticeError, ReceiptKind, SendEvent, SendReceipt};
use vestibule_storage::{Scan, StorageError, tables::room::RECEIPT_BY_POSITION};
use vestibule_types::Actor;

use crate::support::{House, content, open_by_alias};

async fn said(house: &House, who: &Actor, room: &RoomId, relation: Value) -> OwnedEventId {
    let mut message = json!({ "msgtype": "m.text", "body": "tea?" });
    if !relation.is_null() {
        message["m.relates_to"] = relation;
    }
    let command = SendEvent {
        room_id: room.to_owned(),
        event_type: "m.room.message".to_owned(),
        content: content(message),
        transaction_id: None,
        timestamp: None,
    };
    house.rooms.send_event(who, command).await.expect("sent")
}

async fn read(
    house: &House,
    who: &Actor,
    room: &RoomId,
    (event, thread): (&OwnedEventId, Option<&str>),
) -> Result<(), NoticeError> {
    let command = SendReceipt {
        room_id: room.to_owned(),
        event_id: event.clone(),
        kind: ReceiptKind::Public,
        thread: thread.map(ToOwned::to_owned),
    };
    house.rooms.send_receipt(who, command).await
}

/// How many receipts the room keeps in the order of their changes.
async fn kept(house: &House, room: &RoomId) -> usize {
    let rows = house.rooms.with_view::<_, StorageError, _>(room, |view| {
        RECEIPT_BY_POSITION.scan_with(view.reader, Scan::prefix((view.room.no,)))
    });
    rows.await.expect("read").expect("a room").len()
}

async fn at(house: &House, room: &RoomId, who: &Actor) -> Option<OwnedEventId> {
    let user = who.user_id().to_owned();
    let row = house.rooms.with_view::<_, StorageError, _>(room, move |view| {
        let key = (view.room.no, "m.read", "", &user);
        vestibule_storage::tables::room::RECEIPT.get(view.reader, key)
    });
    row.await.expect("read").expect("a room").map(|row| row.value.event_id)
}

#[tokio::test]
async fn a_receipt_moves_forward_and_never_back() {
    for slots in [1, 3] {
        let house = House::new(&open_by_alias(), slots);
        let alice = house.account("alice", "moderator").await;
        let room = house.open_room(&alice).await;
        let first = said(&house, &alice, &room, Value::Null).await;
        let second = said(&house, &alice, &room, Value::Null).await;
        for event in [&first, &second, &first] {
            read(&house, &alice, &room, (event, None)).await.expect("taken");
        }
        assert_eq!(at(&house, &room, &alice).await, Some(second));
        assert_eq!(kept(&house, &room).await, 1);
    }
}

#[tokio::test]
async fn a_receipt_of_a_thread_is_for_events_of_that_thread() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let room = house.open_room(&alice).await;
    let begun = said(&house, &alice, &room, Value::Null).await;
    let in_thread = json!({ "rel_type": "m.thread", "event_id": begun });
    let reply = said(&house, &alice, &room, in_thread).await;
    let about = json!({ "rel_type": "m.reference", "event_id": reply });
    let about = said(&house, &alice, &room, about).await;

    for event in [&begun, &reply, &about] {
        read(&house, &alice, &room, (event, Some(begun.as_str()))).await.expect("in the thread");
    }
    read(&house, &alice, &room, (&begun, Some("main"))).await.expect("the root is in main too");
    for event in [&reply, &about] {
        let refused = read(&house, &alice, &room, (event, Some("main"))).await;
        assert!(matches!(refused, Err(NoticeError::BadThread(_))), "{refused:?}");
    }
    let other = said(&house, &alice, &room, Value::Null).await;
    let refused = read(&house, &alice, &room, (&other, Some(begun.as_str()))).await;
    assert!(matches!(refused, Err(NoticeError::BadThread(_))));
    assert_eq!(kept(&house, &room).await, 2, "one of the thread and one of main");
}

#[tokio::test]
async fn who_is_not_in_the_room_reads_nothing_in_it() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    let event = said(&house, &alice, &room, Value::Null).await;
    let refused = read(&house, &bob, &room, (&event, None)).await;
    assert!(matches!(refused, Err(NoticeError::NotJoined | NoticeError::Ask(_))), "{refused:?}");
    assert_eq!(kept(&house, &room).await, 0);
}
