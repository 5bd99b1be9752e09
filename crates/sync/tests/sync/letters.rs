//! Messages from device to device.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vestibule_rooms::SendToDevice;
use vestibule_storage::{
    StorageError, inbox,
    tables::to_device::{StoredToDevice, TO_DEVICE, TO_DEVICE_BY_SHARE, TO_DEVICE_COUNT},
};
use vestibule_types::{
    Actor,
    limits::{TO_DEVICE_DROPPED_AT_ONCE, TO_DEVICE_WAITING_MAX},
};

use crate::{
    sliding::Client,
    support::{Answer, House},
};

async fn write(house: &House, from: &Actor, to: &Actor, id: &str) {
    write_as(house, from, to, ("org.test", id)).await;
}

async fn write_as(house: &House, from: &Actor, to: &Actor, (kind, id): (&str, &str)) {
    let content = serde_json::value::to_raw_value(&json!({ "id": id })).expect("JSON");
    let devices = BTreeMap::from([("*".to_owned(), content)]);
    let command = SendToDevice {
        event_type: kind.to_owned(),
        transaction_id: id.to_owned(),
        messages: [(to.user_id().to_owned(), devices)].into(),
    };
    house.rooms.send_to_device(from, command).await.expect("sent");
}

fn told(answer: &Answer) -> Vec<&str> {
    ids(&answer.0["to_device"]["events"])
}

fn ids(events: &Value) -> Vec<&str> {
    let events = events.as_array().into_iter().flatten();
    events.filter_map(|event| event["content"]["id"].as_str()).collect()
}

/// A text whose last stamp of a message is far ahead of any store.
fn ahead(token: &str) -> String {
    let (before, _) = token.rsplit_once('d').expect("a stamp");
    format!("{before}d999999_0")
}

#[tokio::test]
async fn a_token_from_before_a_store_lost_its_end_hides_no_message() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let first = house.first(&bob).await;
        let since = Some(ahead(&first.token()));
        let request = vestibule_sync::SyncRequest { since, ..first.then() };
        let next = house.sync(&bob, request).await;
        write(&house, &alice, &bob, "one").await;
        let last = house.next(&bob, &next).await;
        assert_eq!(told(&last), ["one"]);
        assert!(told(&house.next(&bob, &last).await).is_empty(), "it was acknowledged");

        let body = json!({ "extensions": { "to_device": { "enabled": true } } });
        let mut client = Client::new(&bob, body);
        let of = |answer: &Value| answer["extensions"]["to_device"].clone();
        let since = of(&client.next(&house).await)["next_batch"].clone();
        let since = ahead(since.as_str().expect("a point"));
        client.body["extensions"]["to_device"]["since"] = since.into();
        let since = of(&client.next(&house).await)["next_batch"].clone();
        client.body["extensions"]["to_device"]["since"] = since;
        write(&house, &alice, &bob, "two").await;
        assert_eq!(ids(&of(&client.next(&house).await)["events"]), ["two"]);
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_delivers_nothing_twice() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let first = house.first(&bob).await;
        // Two at once: neither finds that the other is done.
        let once = write(&house, &alice, &bob, "one");
        tokio::join!(once, write(&house, &alice, &bob, "one"));
        let next = house.next(&bob, &first).await;
        assert_eq!(told(&next), ["one"]);
        // The same id for another type is another request.
        write_as(&house, &alice, &bob, ("org.other", "one")).await;
        assert_eq!(told(&house.next(&bob, &next).await), ["one"]);
    }
}

#[tokio::test]
async fn who_fills_the_place_of_a_device_loses_their_own_messages() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let mallory = house.account("mallory").await;
        write(&house, &alice, &bob, "first").await;
        let (user, sender) = (bob.user_id().to_owned(), mallory.user_id().to_owned());
        let device = bob.device_id().expect("a device").to_owned();
        let (of, at) = (user.clone(), device.clone());
        let slot = house.store.slot_of_user(&user);
        let fill = house.store.write::<_, StorageError, _>(slot, move |tx| {
            let row = StoredToDevice {
                sender: sender.clone(),
                event_type: "org.flood".to_owned(),
                content: "{}".to_owned(),
            };
            for _ in 0..TO_DEVICE_WAITING_MAX {
                inbox::put(tx, (&of, &at), &row)?;
            }
            Ok(())
        });
        fill.await.expect("filled");
        write(&house, &alice, &bob, "last").await;
        let read = house.store.read::<_, StorageError, _>(move |read| {
            let rows = TO_DEVICE.scan(read, (&user, &device), 20_000)?;
            let shares = TO_DEVICE_BY_SHARE.scan(read, (&user, &device), 20_000)?;
            let count = TO_DEVICE_COUNT.get(read, (&user, &device))?;
            Ok((rows, shares.len(), count))
        });
        let (rows, shares, count) = read.await.expect("read");
        let (most, dropped) = (TO_DEVICE_WAITING_MAX, TO_DEVICE_DROPPED_AT_ONCE);
        assert_eq!((shares, count), (rows.len(), u64::try_from(rows.len()).expect("few")));
        assert!(count <= most && rows.len() + dropped >= usize::try_from(most).expect("few"));
        let kept = rows.iter().filter(|(_, row)| row.sender == *alice.user_id());
        let kept: Vec<&str> = kept.map(|(_, row)| row.content.as_str()).collect();
        assert_eq!(kept, [r#"{"id":"first"}"#, r#"{"id":"last"}"#]);
    }
}
