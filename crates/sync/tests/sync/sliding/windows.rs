//! Which rooms lists and subscriptions bring.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vestibule_rooms::{CreateRoom, Preset};
use vestibule_sync::SlidingError;

use super::{Client, room, rooms, said};
use crate::support::House;

fn set<'a>(ids: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    ids.into_iter().collect()
}

#[tokio::test]
async fn a_window_grows_over_the_newest_rooms_and_sends_each_once() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(house.room(&alice).await);
    }
    let list =
        |to: u64| json!({ "lists": { "all": { "ranges": [[0, to]], "timeline_limit": 1 } } });
    let mut client = Client::new(&alice, list(1));
    let first = client.next(&house).await;
    assert_eq!(first["lists"]["all"]["count"], 6);
    assert_eq!(set(rooms(&first)), set([ids[5].as_str(), ids[4].as_str()]));
    client.body = list(3);
    let more = client.next(&house).await;
    assert_eq!(set(rooms(&more)), set([ids[3].as_str(), ids[2].as_str()]));
    client.body = list(99);
    assert_eq!(rooms(&client.next(&house).await).len(), 2);
    assert_eq!(rooms(&client.next(&house).await).len(), 0);
}

#[tokio::test]
async fn what_happens_out_of_the_window_is_told_when_the_room_comes_back() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.account("alice").await;
        let id = house.room(&alice).await;
        let subscribed = json!({ "room_subscriptions": { id.as_str(): { "timeline_limit": 10 } } });
        let mut client = Client::new(&alice, subscribed.clone());
        client.next(&house).await;
        client.body = json!({});
        house.say(&alice, &id, "one").await;
        assert_eq!(rooms(&client.next(&house).await).len(), 0);
        house.say(&alice, &id, "two").await;
        house.set(&alice, &id, ("m.room.name", ""), json!({ "name": "new" })).await;
        assert_eq!(rooms(&client.next(&house).await).len(), 0);
        client.body = subscribed;
        let back = client.next(&house).await;
        let shown = room(&back, &id);
        assert_eq!(said(shown), ["one", "two"]);
        assert_eq!((&shown["initial"], &shown["name"]), (&json!(null), &json!("new")));
        assert_eq!(shown["num_live"], 0, "it happened before the last answer");
        assert_eq!(rooms(&client.next(&house).await).len(), 0);
    }
}

#[tokio::test]
async fn filters_choose_by_what_a_room_is_to_the_user() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let plain = house.room(&alice).await;
    let encrypted = house.room(&alice).await;
    let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    house.set(&alice, &encrypted, ("m.room.encryption", ""), algorithm).await;
    let space = CreateRoom {
        preset: Some(Preset::PublicChat),
        creation_content: serde_json::from_value(json!({ "type": "m.space" })).expect("content"),
        ..CreateRoom::default()
    };
    let space = house.room_with(&alice, space).await;
    let child = json!({ "via": ["home.test"] });
    house.set(&alice, &space, ("m.space.child", plain.as_str()), child).await;
    let invited = house.room(&bob).await;
    house.invite(&bob, &alice, &invited).await;
    house.keep(&alice, None, "m.direct", json!({ "@bob:home.test": [encrypted.as_str()] })).await;
    house.keep(&alice, Some(&plain), "m.tag", json!({ "tags": { "m.favourite": {} } })).await;

    let (p, e, s, i) = (plain.as_str(), encrypted.as_str(), space.as_str(), invited.as_str());
    for (filters, expected) in [
        (json!({}), set([p, e, s, i])),
        (json!({ "is_dm": true }), set([e])),
        (json!({ "is_dm": false }), set([p, s, i])),
        (json!({ "is_encrypted": true }), set([e])),
        (json!({ "is_encrypted": false }), set([p, s, i])),
        (json!({ "is_invite": true }), set([i])),
        (json!({ "is_invited": false }), set([p, e, s])),
        (json!({ "room_types": ["m.space"] }), set([s])),
        (json!({ "room_types": [null] }), set([p, e, i])),
        (json!({ "not_room_types": ["m.space"] }), set([p, e, i])),
        (json!({ "room_types": ["m.space"], "not_room_types": ["m.space"] }), set([])),
        (json!({ "spaces": [s] }), set([p])),
        (json!({ "spaces": [i, "no room"] }), set([])),
        (json!({ "tags": ["m.favourite", "u.x"] }), set([p])),
        (json!({ "not_tags": ["m.favourite"] }), set([e, s, i])),
    ] {
        let list = json!({ "ranges": [[0, 99]], "filters": filters });
        let mut client = Client::new(&alice, json!({ "lists": { "l": list } }));
        let answer = client.next(&house).await;
        assert_eq!(set(rooms(&answer)), expected, "{filters}");
        assert_eq!(answer["lists"]["l"]["count"], expected.len(), "{filters}");
    }
}

#[tokio::test]
async fn a_filter_follows_what_changes() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let id = house.room(&alice).await;
    let list = |filters: Value| json!({ "ranges": [[0, 9]], "filters": filters });
    let lists = json!({ "lists": {
        "encrypted": list(json!({ "is_encrypted": true })),
        "tagged": list(json!({ "tags": ["u.x"] })),
    } });
    let mut client = Client::new(&alice, lists);
    assert_eq!(rooms(&client.next(&house).await).len(), 0);
    let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    house.set(&alice, &id, ("m.room.encryption", ""), algorithm).await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["lists"], json!(["encrypted"]));
    house.keep(&alice, Some(&id), "m.tag", json!({ "tags": { "u.x": {} } })).await;
    let answer = client.next(&house).await;
    assert_eq!(answer["lists"]["tagged"]["count"], 1);
}

#[tokio::test]
async fn who_is_not_in_a_room_gets_nothing_by_subscribing_to_it() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.say(&alice, &id, "secret").await;
    let subscriptions = json!({ id.as_str(): { "timeline_limit": 20, "required_state": [["*", "*"]] },
        "!nowhere:home.test": { "timeline_limit": 1 } });
    let mut client = Client::new(&bob, json!({ "room_subscriptions": subscriptions }));
    assert_eq!(client.next(&house).await["rooms"], json!({}));
    house.say(&alice, &id, "secret too").await;
    assert_eq!(client.next(&house).await["rooms"], json!({}));
}

#[tokio::test]
async fn what_is_beyond_the_bounds_is_refused() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let pairs: Vec<(String, &str)> = (0..300).map(|number| (number.to_string(), "")).collect();
    let lists: serde_json::Map<String, Value> =
        (0..101).map(|number| (number.to_string(), json!({}))).collect();
    for body in [
        json!({ "conn_id": "x".repeat(65) }),
        json!({ "lists": { "a": { "ranges": [[5, 4]] } } }),
        json!({ "lists": { "a": { "required_state": pairs } } }),
        json!({ "lists": lists }),
        json!({ "extensions": { "to_device": { "since": "7" } } }),
    ] {
        let refused = Client::new(&alice, body.clone()).ask(&house.sync).await;
        assert!(matches!(refused, Err(SlidingError::Bad(_))), "{body}");
    }
}
