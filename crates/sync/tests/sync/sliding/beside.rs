//! What comes beside rooms.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use vestibule_rooms::{ReceiptKind, SendReceipt, SetTyping};

use super::{Client, woken};
use crate::support::House;

#[tokio::test]
async fn nothing_comes_that_was_not_asked_for() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    house.keep(&alice, None, "org.example", json!({})).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    assert_eq!(client.next(&house).await["extensions"], json!({}));
}

#[tokio::test]
async fn account_data_comes_whole_once_and_then_what_changed() {
    let house = House::new(3);
    let alice = house.account("alice").await;
    let (one, two) = (house.room(&alice).await, house.room(&alice).await);
    house.keep(&alice, None, "org.example", json!({ "a": 1 })).await;
    house.keep(&alice, Some(&one), "org.room", json!({ "b": 1 })).await;
    house.keep(&alice, Some(&two), "org.room", json!({ "b": 2 })).await;
    let mut client = Client::new(
        &alice,
        json!({
            "room_subscriptions": { one.as_str(): { "timeline_limit": 1 } },
            "extensions": { "account_data": { "enabled": true } },
        }),
    );
    let first = client.next(&house).await;
    let data = &first["extensions"]["account_data"];
    let kinds: Vec<_> =
        data["global"].as_array().expect("events").iter().map(|it| &it["type"]).collect();
    assert!(kinds.contains(&&json!("org.example")) && kinds.contains(&&json!("m.push_rules")));
    assert_eq!(
        data["rooms"],
        json!({ one.as_str(): [{ "type": "org.room", "content": { "b": 1 } }] })
    );

    house.keep(&alice, Some(&one), "org.room", json!({ "b": 3 })).await;
    let answer = client.next(&house).await;
    let data = &answer["extensions"]["account_data"];
    assert_eq!(data["global"], json!([]));
    assert_eq!(data["rooms"][one.as_str()][0]["content"], json!({ "b": 3 }));
    client.body["room_subscriptions"][two.as_str()] = json!({ "timeline_limit": 1 });
    let answer = client.next(&house).await;
    let rooms = &answer["extensions"]["account_data"]["rooms"];
    assert_eq!(rooms, &json!({ two.as_str(): [{ "type": "org.room", "content": { "b": 2 } }] }));
}

#[tokio::test]
async fn receipts_and_typing_come_for_the_rooms_they_were_asked_for() {
    let house = Arc::new(House::new(1));
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let (one, two) = (house.room(&alice).await, house.room(&alice).await);
    for id in [&one, &two] {
        house.join(&bob, id).await;
    }
    let mut client = Client::new(
        &alice,
        json!({
            "room_subscriptions": {
                one.as_str(): { "timeline_limit": 1 }, two.as_str(): { "timeline_limit": 1 },
            },
            "extensions": {
                "receipts": { "enabled": true, "rooms": [one.as_str()] },
                "typing": { "enabled": true, "rooms": ["*"] },
            },
        }),
    );
    client.next(&house).await;
    for id in [&one, &two] {
        let event = house.say(&alice, id, "read me").await;
        house.read(&bob, id, &event, ReceiptKind::Public).await;
    }
    let answer = client.next(&house).await;
    let receipts = &answer["extensions"]["receipts"]["rooms"];
    assert_eq!(receipts.as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(receipts[one.as_str()]["type"], "m.receipt");

    let waiting = client.parked(&house).await;
    let typing = SetTyping { room_id: two.clone(), timeout: Some(Duration::from_secs(5)) };
    house.rooms.set_typing(&bob, typing).await.expect("typing");
    let answer = woken(waiting).await;
    let typing = &answer["extensions"]["typing"]["rooms"];
    assert_eq!(typing[two.as_str()]["content"]["user_ids"], json!(["@bob:home.test"]));
    assert_eq!(answer["rooms"], json!({}));
    let mut late = Client::new(&alice, client.body.clone());
    late.body["conn_id"] = json!("late");
    let typing = &late.next(&house).await["extensions"]["typing"]["rooms"];
    assert_eq!(typing.as_object().map(serde_json::Map::len), Some(1), "who still types is shown");
}

#[tokio::test]
async fn a_room_that_is_new_to_the_client_comes_with_the_receipts_at_what_is_shown() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.join(&bob, &id).await;
    let old = house.say(&alice, &id, "old").await;
    house.read(&bob, &id, &old, ReceiptKind::Public).await;
    let new = house.say(&bob, &id, "new").await;
    house.read(&alice, &id, &new, ReceiptKind::Private).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.body["extensions"] = json!({ "receipts": { "enabled": true } });
    let answer = client.next(&house).await;
    let content = &answer["extensions"]["receipts"]["rooms"][id.as_str()]["content"];
    assert!(content[new.as_str()]["m.read.private"]["@alice:home.test"].is_object());
    assert!(content[old.as_str()].is_null());
}

#[tokio::test]
async fn a_timeline_that_begins_earlier_than_before_comes_with_the_receipts_at_it() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let carol = house.account("carol").await;
        let id = house.room(&alice).await;
        house.join(&bob, &id).await;
        house.join(&carol, &id).await;
        let old = house.say(&alice, &id, "old").await;
        house.read(&bob, &id, &old, ReceiptKind::Public).await;
        house.say(&alice, &id, "new").await;
        let mut client = Client::of_all(&alice, 1, &[]);
        client.body["extensions"] = json!({ "receipts": { "enabled": true } });
        let answer = client.next(&house).await;
        assert_eq!(answer["extensions"]["receipts"]["rooms"], json!({}));
        client.body["room_subscriptions"] = json!({ id.as_str(): { "timeline_limit": 20 } });
        let answer = client.next(&house).await;
        assert_eq!(answer["rooms"][id.as_str()]["expanded_timeline"], true);
        let content = &answer["extensions"]["receipts"]["rooms"][id.as_str()]["content"];
        assert!(content[old.as_str()]["m.read"]["@bob:home.test"].is_object());
    }
}

#[tokio::test]
async fn what_was_read_while_a_room_was_out_of_view_is_told_when_it_comes_back() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let id = house.room(&alice).await;
        house.join(&bob, &id).await;
        let old = house.say(&alice, &id, "old").await;
        let subscribed = json!({ id.as_str(): { "timeline_limit": 10 } });
        let mut client = Client::new(
            &alice,
            json!({
                "room_subscriptions": subscribed.clone(),
                "extensions": { "receipts": { "enabled": true } },
            }),
        );
        client.next(&house).await;
        client.body["room_subscriptions"] = json!({});
        house.read(&bob, &id, &old, ReceiptKind::Public).await;
        assert_eq!(client.next(&house).await["extensions"]["receipts"]["rooms"], json!({}));
        house.say(&alice, &id, "new").await;
        client.next(&house).await;
        client.body["room_subscriptions"] = subscribed;
        let answer = client.next(&house).await;
        let content = &answer["extensions"]["receipts"]["rooms"][id.as_str()]["content"];
        assert!(content[old.as_str()]["m.read"]["@bob:home.test"].is_object());
        let after = client.next(&house).await;
        assert_eq!(after["extensions"]["receipts"]["rooms"], json!({}), "once");
    }
}

#[tokio::test]
async fn of_two_receipts_at_one_event_the_one_for_all_threads_is_told() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.join(&bob, &id).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.body["extensions"] = json!({ "receipts": { "enabled": true } });
    client.next(&house).await;
    let event = house.say(&alice, &id, "read me").await;
    house.read(&bob, &id, &event, ReceiptKind::Public).await;
    let thread = Some("main".to_owned());
    let main = SendReceipt {
        room_id: id.clone(),
        event_id: event.clone(),
        kind: ReceiptKind::Public,
        thread,
    };
    house.rooms.send_receipt(&bob, main).await.expect("read");
    let answer = client.next(&house).await;
    let content = &answer["extensions"]["receipts"]["rooms"][id.as_str()]["content"];
    let told = &content[event.as_str()]["m.read"]["@bob:home.test"];
    assert!(told.is_object() && told["thread_id"].is_null(), "{told}");
}

#[tokio::test]
async fn keys_are_counted_without_any_room() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let body = json!({ "conn_id": "encryption", "extensions": {
        "e2ee": { "enabled": true }, "to_device": { "enabled": true },
    } });
    let mut client = Client::new(&alice, body);
    let answer = client.next(&house).await;
    let e2ee = &answer["extensions"]["e2ee"];
    assert_eq!(e2ee["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
    assert_eq!(e2ee["device_unused_fallback_key_types"], json!([]));
    assert!(answer["extensions"]["to_device"]["next_batch"].is_string());
}
