//! What is shown of a room.

use serde_json::json;
use vestibule_rooms::{ChangeMember, CreateRoom, Knock, Preset};

use super::{Client, room, rooms, said, state};
use crate::support::House;

const MEMBER: &str = "m.room.member";

#[tokio::test]
async fn a_longer_timeline_is_sent_again_and_marked_so() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let id = house.room(&alice).await;
    for number in 0..5 {
        house.say(&alice, &id, &number.to_string()).await;
    }
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    client.body["room_subscriptions"] = json!({ id.as_str(): { "timeline_limit": 4 } });
    let more = client.next(&house).await;
    let shown = room(&more, &id);
    assert_eq!(said(shown), ["1", "2", "3", "4"]);
    assert_eq!(shown["unstable_expanded_timeline"], true);
    assert_eq!(shown["expanded_timeline"], true);
    assert_eq!((&shown["initial"], &shown["num_live"]), (&json!(null), &json!(0)));
    assert_eq!(rooms(&client.next(&house).await).len(), 0);

    client.body["room_subscriptions"] = json!({});
    house.say(&alice, &id, "5").await;
    assert_eq!(said(room(&client.next(&house).await, &id)), ["5"]);
    client.body["room_subscriptions"] = json!({ id.as_str(): { "timeline_limit": 4 } });
    assert_eq!(rooms(&client.next(&house).await).len(), 0, "the client has the last four");
    client.body["room_subscriptions"] = json!({});
    for number in 6..9 {
        house.say(&alice, &id, &number.to_string()).await;
    }
    let gap = client.next(&house).await;
    assert_eq!((said(room(&gap, &id)), &room(&gap, &id)["limited"]), (vec!["8"], &json!(true)));
    client.body["room_subscriptions"] = json!({ id.as_str(): { "timeline_limit": 4 } });
    assert_eq!(said(room(&client.next(&house).await, &id)), ["5", "6", "7", "8"]);
}

#[tokio::test]
async fn a_client_that_wanted_no_timeline_gets_one_when_it_wants_it() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let id = house.room(&alice).await;
    house.say(&alice, &id, "hello").await;
    let mut client = Client::of_all(&alice, 0, &[]);
    assert_eq!(said(room(&client.next(&house).await, &id)), [] as [&str; 0]);
    client.body["lists"]["all"]["timeline_limit"] = json!(1);
    assert_eq!(said(room(&client.next(&house).await, &id)), ["hello"]);
}

#[tokio::test]
async fn the_state_that_is_wanted_comes_and_no_other() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.join(&bob, &id).await;
    house.set(&alice, &id, ("m.room.topic", ""), json!({ "topic": "tea" })).await;
    house.set(&alice, &id, ("org.a", "1"), json!({})).await;
    house.set(&alice, &id, ("org.a", "2"), json!({})).await;
    house.say(&bob, &id, "hello").await;
    let (a, b) = ("@alice:home.test", "@bob:home.test");
    for (wanted, expected) in [
        (vec![], vec![]),
        (vec![("m.room.topic", "")], vec![("m.room.topic", "")]),
        (vec![("org.a", "*")], vec![("org.a", "1"), ("org.a", "2")]),
        (vec![("*", "1")], vec![("org.a", "1")]),
        (vec![(MEMBER, "$ME")], vec![(MEMBER, a)]),
        (vec![(MEMBER, "$LAZY")], vec![(MEMBER, b)]),
        (vec![(MEMBER, "$LAZY"), (MEMBER, "$ME")], vec![(MEMBER, a), (MEMBER, b)]),
        (vec![(MEMBER, "*")], vec![(MEMBER, a), (MEMBER, b)]),
    ] {
        let mut client = Client::of_all(&alice, 1, &wanted);
        assert_eq!(state(room(&client.next(&house).await, &id)), expected, "{wanted:?}");
    }
    let mut client = Client::of_all(&alice, 1, &[("*", "*"), (MEMBER, "$LAZY")]);
    let answer = client.next(&house).await;
    let all = state(room(&answer, &id));
    assert!(all.contains(&("m.room.create", "")) && all.contains(&(MEMBER, b)));
    assert!(!all.contains(&(MEMBER, a)));

    house.set(&alice, &id, ("m.room.topic", ""), json!({ "topic": "coffee" })).await;
    let answer = client.next(&house).await;
    assert_eq!(state(room(&answer, &id)), [(MEMBER, a), ("m.room.topic", "")]);
    house.say(&bob, &id, "again").await;
    assert_eq!(state(room(&client.next(&house).await, &id)), [], "the client has bob");
}

#[tokio::test]
async fn state_that_is_wanted_later_comes_at_once() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let id = house.room(&alice).await;
    let mut client = Client::of_all(&alice, 1, &[("m.room.create", "")]);
    client.next(&house).await;
    let pairs = json!([["m.room.create", ""], ["m.room.join_rules", ""]]);
    client.body["lists"]["all"]["required_state"] = pairs;
    let answer = client.next(&house).await;
    assert_eq!(state(room(&answer, &id)), [("m.room.join_rules", "")]);
    assert_eq!(room(&answer, &id)["timeline"], json!(null));
    assert_eq!(rooms(&client.next(&house).await).len(), 0);
}

#[tokio::test]
async fn name_picture_counts_and_heroes_come_when_they_change() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    let first = client.next(&house).await;
    assert_eq!(room(&first, &id)["joined_count"], 1);
    assert_eq!(room(&first, &id)["heroes"], json!([]));
    house.join(&bob, &id).await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["joined_count"], 2);
    assert_eq!(room(&answer, &id)["heroes"][0]["user_id"], "@bob:home.test");
    house.set(&alice, &id, ("m.room.name", ""), json!({ "name": "tea" })).await;
    house.set(&alice, &id, ("m.room.avatar", ""), json!({ "url": "mxc://home.test/a" })).await;
    let answer = client.next(&house).await;
    let shown = room(&answer, &id);
    assert_eq!((&shown["name"], &shown["avatar"]), (&json!("tea"), &json!("mxc://home.test/a")));
    assert_eq!((&shown["heroes"], &shown["joined_count"]), (&json!(null), &json!(null)));
    house.set(&alice, &id, ("m.room.name", ""), json!({})).await;
    house.set(&alice, &id, ("m.room.avatar", ""), json!({})).await;
    let answer = client.next(&house).await;
    let shown = room(&answer, &id).as_object().expect("the room");
    assert!(shown["name"].is_null() && shown["avatar"].is_null());
    assert_eq!(shown["heroes"][0]["user_id"], "@bob:home.test");
}

#[tokio::test]
async fn an_invitation_shows_what_may_be_known_and_a_join_everything() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let command = CreateRoom { preset: Some(Preset::PrivateChat), ..CreateRoom::default() };
    let id = house.room_with(&alice, command).await;
    house.say(&alice, &id, "secret").await;
    let mut client = Client::of_all(&bob, 10, &[("*", "*")]);
    client.next(&house).await;
    house.invite(&alice, &bob, &id).await;
    let answer = client.next(&house).await;
    let shown = room(&answer, &id);
    assert_eq!(shown["membership"], "invite");
    let stripped = shown["invite_state"].as_array().expect("stripped state");
    assert!(stripped.iter().any(|event| event["state_key"] == "@bob:home.test"));
    assert_eq!((&shown["timeline"], &shown["required_state"]), (&json!(null), &json!(null)));
    assert_eq!(rooms(&client.next(&house).await).len(), 0);

    house.join(&bob, &id).await;
    let answer = client.next(&house).await;
    let shown = room(&answer, &id);
    assert_eq!((&shown["initial"], &shown["membership"]), (&json!(true), &json!("join")));
    assert!(shown["invite_state"].is_null());
    assert!(state(shown).contains(&("m.room.create", "")));
}

#[tokio::test]
async fn a_declined_invitation_is_told_by_the_own_membership() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.invite(&alice, &bob, &id).await;
    let mut client = Client::of_all(&bob, 10, &[]);
    client.next(&house).await;
    house.leave(&bob, &id).await;
    let answer = client.next(&house).await;
    let shown = room(&answer, &id);
    assert_eq!(state(shown), [(MEMBER, "@bob:home.test")]);
    assert_eq!(shown["required_state"][0]["content"]["membership"], "leave");
    assert_eq!(shown["timeline"].as_array().map(Vec::len), Some(1), "nothing else of the room");
    assert!(shown["invite_state"].is_null());
    assert_eq!(rooms(&client.next(&house).await).len(), 0);
}

#[tokio::test]
async fn a_knock_shows_what_may_be_known() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.set(&alice, &id, ("m.room.join_rules", ""), json!({ "join_rule": "knock" })).await;
    let mut client = Client::of_all(&bob, 10, &[]);
    client.next(&house).await;
    let command = Knock { room_id: id.clone(), reason: None, via: Vec::new() };
    house.rooms.knock(&bob, command).await.expect("knocked");
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["membership"], "knock");
    assert!(room(&answer, &id)["invite_state"].is_array());
}

#[tokio::test]
async fn who_was_removed_is_told_so_and_nothing_that_came_after() {
    for (slots, ban) in [(1, false), (3, true)] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let id = house.room(&alice).await;
        house.join(&bob, &id).await;
        let mut client = Client::of_all(&bob, 10, &[]);
        client.next(&house).await;
        house.say(&alice, &id, "before").await;
        let user_id = bob.user_id().to_owned();
        let command = ChangeMember { room_id: id.clone(), user_id, reason: None };
        if ban {
            house.rooms.ban(&alice, command).await.expect("banned");
        } else {
            house.rooms.kick(&alice, command).await.expect("kicked");
        }
        house.say(&alice, &id, "after").await;
        house.set(&alice, &id, ("m.room.name", ""), json!({ "name": "after" })).await;

        let answer = client.next(&house).await;
        let shown = room(&answer, &id);
        assert_eq!(said(shown), ["before"]);
        assert_eq!(shown["membership"], if ban { "ban" } else { "leave" });
        assert!(state(shown).contains(&(MEMBER, "@bob:home.test")));
        assert!(shown["name"].is_null());
        house.say(&alice, &id, "long after").await;
        assert_eq!(rooms(&client.next(&house).await).len(), 0);

        let mut fresh = Client::of_all(&bob, 10, &[("m.room.name", "")]);
        fresh.body["conn_id"] = json!("another");
        let answer = fresh.next(&house).await;
        let shown = room(&answer, &id);
        assert_eq!(said(shown), ["before"], "a new connection is told too, and no more");
        assert_eq!(state(shown), [(MEMBER, "@bob:home.test")]);
    }
}

#[tokio::test]
async fn who_left_is_told_on_connections_that_have_the_room_and_rejoins_from_the_beginning() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.join(&bob, &id).await;
    let mut client = Client::of_all(&bob, 10, &[]);
    client.next(&house).await;
    house.leave(&bob, &id).await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["membership"], "leave");
    let mut fresh = Client::of_all(&bob, 10, &[]);
    fresh.body["conn_id"] = json!("another");
    assert_eq!(rooms(&fresh.next(&house).await).len(), 0);

    house.join(&bob, &id).await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["initial"], true);
    assert_eq!(room(&answer, &id)["membership"], "join");
}

#[tokio::test]
async fn a_room_that_was_left_and_forgotten_is_told_once_on_connections_that_have_it() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let (in_it, invited) = (house.room(&alice).await, house.room(&alice).await);
    house.join(&bob, &in_it).await;
    house.invite(&alice, &bob, &invited).await;
    let mut client = Client::of_all(&bob, 10, &[]);
    assert_eq!(rooms(&client.next(&house).await).len(), 2);
    house.say(&alice, &in_it, "history").await;
    for id in [&in_it, &invited] {
        house.leave(&bob, id).await;
        house.rooms.forget(&bob, id).await.expect("forgotten");
    }
    let answer = client.next(&house).await;
    for id in [&in_it, &invited] {
        assert_eq!(room(&answer, id)["membership"], "leave", "{answer}");
        assert_eq!(said(room(&answer, id)), [""; 0]);
    }
    assert_eq!(rooms(&client.next(&house).await).len(), 0);
    let mut fresh = Client::of_all(&bob, 10, &[]);
    fresh.body["conn_id"] = json!("another");
    fresh.body["room_subscriptions"] = json!({ in_it.as_str(): { "timeline_limit": 1 } });
    assert_eq!(rooms(&fresh.next(&house).await).len(), 0);
}

#[tokio::test]
async fn a_room_that_was_left_is_off_the_list_once_that_was_told() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.account("alice").await;
        let (below, above) = (house.room(&alice).await, house.room(&alice).await);
        let mut client = Client::of_all(&alice, 1, &[]);
        client.body["lists"]["all"]["ranges"] = json!([[0, 0]]);
        let first = client.next(&house).await;
        assert_eq!(rooms(&first).len(), 1);
        room(&first, &above);
        house.leave(&alice, &above).await;
        for answer in [client.ask(&house.sync).await.expect("lost"), client.next(&house).await] {
            assert_eq!(room(&answer, &above)["membership"], "leave", "also when it is asked again");
            assert_eq!(answer["lists"]["all"]["count"], 2);
        }
        let answer = client.next(&house).await;
        assert_eq!(answer["lists"]["all"]["count"], 1);
        assert_eq!(rooms(&answer).len(), 1);
        assert_eq!(room(&answer, &below)["initial"], true, "it makes room for another");
    }
}

#[tokio::test]
async fn a_change_of_direct_chats_is_told() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let id = house.room(&alice).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    assert!(room(&client.next(&house).await, &id)["is_dm"].is_null());
    house.keep(&alice, None, "m.direct", json!({ "@bob:home.test": [id.as_str()], "x": 7 })).await;
    assert_eq!(room(&client.next(&house).await, &id)["is_dm"], true);
    house.keep(&alice, None, "m.direct", json!({})).await;
    assert_eq!(room(&client.next(&house).await, &id)["is_dm"], false);
}

#[tokio::test]
async fn unread_counts_come_with_the_room_and_end_with_a_receipt() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let id = house.room(&alice).await;
    house.join(&bob, &id).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    let event = house.say(&bob, &id, "hello").await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["notification_count"], 1);
    house.read(&alice, &id, &event, vestibule_rooms::ReceiptKind::Private).await;
    let answer = client.next(&house).await;
    assert_eq!(room(&answer, &id)["notification_count"], 0);
    assert_eq!(said(room(&answer, &id)), [] as [&str; 0]);
}
