//! Positions, answers that are lost, and servers that start anew.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use vestibule_sync::SlidingError;
use vestibule_types::limits::{SLIDING_AGE_MAX, SLIDING_CONNECTIONS_MAX, SLIDING_STEPS_MAX};

use super::{Client, room, rooms, said, woken};
use crate::support::House;

#[tokio::test]
async fn a_room_is_sent_once_and_then_only_what_is_new() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.account("alice").await;
        let id = house.room(&alice).await;
        house.say(&alice, &id, "before").await;
        let mut client = Client::of_all(&alice, 1, &[("m.room.create", "")]);

        let first = client.next(&house).await;
        assert_eq!(first["lists"]["all"]["count"], 1);
        let shown = room(&first, &id);
        assert_eq!((&shown["initial"], &shown["limited"]), (&json!(true), &json!(true)));
        assert_eq!(said(shown), ["before"]);
        assert_eq!(shown["num_live"], 0);
        assert!(shown["prev_batch"].is_string());
        assert_eq!(client.next(&house).await["rooms"], json!({}));

        house.say(&alice, &id, "after").await;
        let news = client.next(&house).await;
        let shown = room(&news, &id);
        assert_eq!(said(shown), ["after"]);
        assert_eq!((&shown["initial"], &shown["limited"]), (&json!(null), &json!(null)));
        assert_eq!(shown["num_live"], 1);
        assert_eq!(shown["required_state"], json!(null));
        assert!(shown["bump_stamp"].as_u64() > room(&first, &id)["bump_stamp"].as_u64());
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_with_what_came_meanwhile() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let old = house.room(&alice).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    let new = house.room(&alice).await;
    let lost = client.ask(&house.sync).await.expect("an answer");
    assert_eq!(room(&lost, &new)["initial"], true);
    house.say(&alice, &old, "meanwhile").await;

    let again = client.next(&house).await;
    assert_eq!(room(&again, &new)["initial"], true, "the client has nothing of the room");
    assert_eq!(said(room(&again, &old)), ["meanwhile"]);
    assert_eq!(client.next(&house).await["rooms"], json!({}));
    client.has(&lost);
    let refused = client.ask(&house.sync).await;
    assert!(matches!(refused, Err(SlidingError::UnknownPos)), "an answer that was given up");
}

#[tokio::test]
async fn a_connection_outlives_the_process() {
    let house = House::new(3);
    let alice = house.account("alice").await;
    let (one, two) = (house.room(&alice).await, house.room(&alice).await);
    let mut client = Client::of_all(&alice, 1, &[("m.room.member", "$LAZY")]);
    client.next(&house).await;
    house.say(&alice, &two, "during the restart").await;
    let restarted = house.restarted();
    let news = client.ask(&restarted).await.expect("an answer");
    assert_eq!(rooms(&news), [two.as_str()], "{one} is not sent again");
    assert_eq!(room(&news, &two)["initial"], json!(null));
}

#[tokio::test]
async fn positions_of_nobody_of_others_and_of_connections_begun_anew_are_unknown() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    house.room(&alice).await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    let known = client.pos.clone();

    let unknown = |answer: Result<_, SlidingError>| matches!(answer, Err(SlidingError::UnknownPos));
    for pos in ["", "x", "1.s1_t1_d0_0", "1.s1_1_t1_d0_0"] {
        client.pos = Some(pos.to_owned());
        assert_eq!(unknown(client.ask(&house.sync).await), !pos.is_empty(), "{pos}");
    }
    client.pos = known.clone();
    assert!(unknown(client.ask(&house.sync).await), "without a position the connection began anew");
    house.test.clock.advance(Duration::from_secs(1));
    let mut other = Client { who: bob, ..Client::of_all(&alice, 1, &[]) };
    other.next(&house).await;
    other.pos = known;
    assert!(unknown(other.ask(&house.sync).await), "somebody else's");
}

#[tokio::test]
async fn connections_are_apart_and_not_without_bound() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    house.room(&alice).await;
    let mut clients = Vec::new();
    for number in 0..=SLIDING_CONNECTIONS_MAX {
        let body =
            json!({ "conn_id": number.to_string(), "lists": { "a": { "ranges": [[0, 9]] } } });
        let mut client = Client::new(&alice, body);
        assert_eq!(rooms(&client.next(&house).await).len(), 1, "each is sent the room");
        clients.push(client);
        house.test.clock.advance(Duration::from_secs(1));
    }
    for (number, client) in clients.iter().enumerate() {
        let answer = client.ask(&house.sync).await;
        assert_eq!(answer.is_err(), number == 0, "the one used least recently made room");
    }
}

#[tokio::test]
async fn a_connection_nobody_uses_ends() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    house.test.clock.advance(SLIDING_AGE_MAX / 2);
    client.next(&house).await;
    house.test.clock.advance(SLIDING_AGE_MAX / 2 + Duration::from_hours(12));
    client.next(&house).await;
    house.test.clock.advance(SLIDING_AGE_MAX + Duration::from_secs(1));
    assert!(matches!(client.ask(&house.sync).await, Err(SlidingError::UnknownPos)));
}

#[tokio::test]
async fn many_steps_become_one_and_nothing_is_forgotten() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let mut client = Client::of_all(&alice, 1, &[]);
    client.next(&house).await;
    let count = usize::try_from(SLIDING_STEPS_MAX).expect("few") + 10;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(house.room(&alice).await);
        assert_eq!(rooms(&client.next(&house).await).len(), 1);
    }
    house.say(&alice, &ids[0], "still known").await;
    let restarted = house.restarted();
    let news = client.ask(&restarted).await.expect("an answer");
    assert_eq!(rooms(&news), [ids[0].as_str()]);
    assert_eq!(room(&news, &ids[0])["initial"], json!(null));
}

#[tokio::test]
async fn who_waits_is_woken_by_the_rooms_in_the_windows_and_not_by_others() {
    for slots in [1, 3] {
        let house = Arc::new(House::new(slots));
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let (watched, other) = (house.room(&alice).await, house.room(&alice).await);
        house.join(&bob, &watched).await;
        house.join(&bob, &other).await;
        let body = json!({ "room_subscriptions": { watched.as_str(): { "timeline_limit": 1 } } });
        let mut client = Client::new(&alice, body);
        client.next(&house).await;

        let waiting = client.parked(&house).await;
        house.say(&bob, &other, "elsewhere").await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        house.say(&bob, &watched, "here").await;
        let answer = woken(waiting).await;
        assert_eq!(rooms(&answer), [watched.as_str()]);
        assert_eq!(said(room(&answer, &watched)), ["here"]);
    }
}
