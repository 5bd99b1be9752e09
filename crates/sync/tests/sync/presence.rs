//! Who is told that somebody is there.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use vestibule_rooms::{Availability, SetPresence};
use vestibule_storage::{StorageError, tables::presence::PRESENCE_BY_USER};
use vestibule_sync::SyncRequest;
use vestibule_types::{Actor, limits::PRESENCE_ACTIVE_FOR};

use crate::{
    support::{Answer, House},
    waiting::{parked, woken},
};

/// Users and their presence in an answer.
fn present(answer: &Answer) -> Vec<(&str, &str)> {
    let events = answer.0["presence"]["events"].as_array().expect("events");
    assert!(events.iter().all(|event| event["type"] == "m.presence"));
    events
        .iter()
        .map(|event| {
            let state = event["content"]["presence"].as_str().expect("a state");
            (event["sender"].as_str().expect("a user"), state)
        })
        .collect()
}

/// What is told of somebody but oneself.
fn of_others<'a>(answer: &'a Answer, me: &Actor) -> Vec<(&'a str, &'a str)> {
    let me = me.user_id().as_str();
    present(answer).into_iter().filter(|(user, _)| *user != me).collect()
}

fn quiet(since: Option<&Answer>) -> SyncRequest {
    let request = since.map_or_else(SyncRequest::default, Answer::then);
    SyncRequest { presence: Availability::Offline, ..request }
}

#[tokio::test]
async fn whoever_shares_a_room_is_told_and_nobody_else() {
    for slots in [1, 3] {
        let house = House::with_presence(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let carol = house.account("carol").await;
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        house.room(&carol).await;
        let first = house.sync(&bob, quiet(None)).await;
        let apart = house.sync(&carol, quiet(None)).await;
        assert_eq!(present(&first), [], "nobody is there");

        house.first(&alice).await;
        let answer = house.sync(&bob, quiet(Some(&first))).await;
        assert_eq!(present(&answer), [("@alice:home.test", "online")]);
        let content = &answer.0["presence"]["events"][0]["content"];
        assert_eq!(
            (&content["currently_active"], &content["last_active_ago"]),
            (&json!(true), &json!(0))
        );
        assert_eq!(present(&house.sync(&bob, quiet(Some(&answer))).await), []);
        assert_eq!(present(&house.sync(&carol, quiet(Some(&apart))).await), []);
        assert_eq!(
            present(&house.sync(&bob, quiet(None)).await).len(),
            1,
            "a newcomer is told too"
        );
    }
}

#[tokio::test]
async fn who_comes_to_share_a_room_is_told_who_is_there_already() {
    for slots in [1, 3] {
        let house = House::with_presence(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&alice).await;
        let first = house.sync(&bob, quiet(None)).await;
        house.first(&alice).await;
        let apart = house.sync(&bob, quiet(Some(&first))).await;
        assert_eq!(present(&apart), []);
        house.join(&bob, &room).await;
        let answer = house.sync(&bob, quiet(Some(&apart))).await;
        assert_eq!(of_others(&answer, &bob), [("@alice:home.test", "online")]);
        let after = house.sync(&bob, quiet(Some(&answer))).await;
        assert_eq!(of_others(&after, &bob), [], "once");
    }
}

/// Waits, second by second, until something is told of somebody else, and says how many passed.
async fn told(house: &Arc<House>, who: &Actor, mut last: Answer) -> (Answer, u64) {
    let mut seconds = 0;
    loop {
        let waiting = parked(house, who, &last).await;
        assert!(!waiting.is_finished(), "there was something without waiting");
        while !waiting.is_finished() && seconds < 1_000 {
            house.test.clock.advance(Duration::from_secs(1));
            seconds += 1;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        last = woken(waiting).await;
        if !of_others(&last, who).is_empty() {
            return (last, seconds);
        }
    }
}

#[tokio::test]
async fn who_waits_is_woken_when_somebody_comes_grows_quiet_and_goes() {
    let house = Arc::new(House::with_presence(1));
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let first = house.first(&bob).await;
    let waiting = parked(&house, &bob, &first).await;
    let alices = house.first(&alice).await;
    house.test.clock.advance(Duration::from_secs(1));
    let last = woken(waiting).await;
    assert_eq!(of_others(&last, &bob), [("@alice:home.test", "online")]);

    // Alice waits too, and does nothing.
    let there = parked(&house, &alice, &alices).await;
    let (last, seconds) = told(&house, &bob, last).await;
    assert_eq!(of_others(&last, &bob), [("@alice:home.test", "online")]);
    let active = last.0["presence"]["events"][0]["content"]["currently_active"].clone();
    assert_eq!(active, json!(false));
    assert!(seconds.abs_diff(PRESENCE_ACTIVE_FOR.as_secs()) <= 2, "{seconds} seconds");
    assert!(there.is_finished(), "her client is told the same, and does not come back");
    let (last, _) = told(&house, &bob, last).await;
    assert_eq!(of_others(&last, &bob), [("@alice:home.test", "offline")]);
}

#[tokio::test]
async fn who_does_not_want_to_be_seen_is_not_and_who_does_not_want_to_see_does_not() {
    let house = House::with_presence(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    house.sync(&alice, quiet(None)).await;
    assert_eq!(present(&house.sync(&bob, quiet(None)).await), []);
    house.first(&alice).await;
    let filter = json!({ "presence": { "not_types": ["m.presence"] } }).to_string();
    let request = SyncRequest { filter: Some(filter), ..quiet(None) };
    assert_eq!(present(&house.sync(&bob, request).await), []);
    let ignored = json!({ "ignored_users": { "@alice:home.test": {} } });
    house.keep(&bob, None, "m.ignored_user_list", ignored).await;
    assert_eq!(present(&house.sync(&bob, quiet(None)).await), []);
}

#[tokio::test]
async fn what_one_does_makes_one_online_again() {
    let house = House::with_presence(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let idle = SyncRequest { presence: Availability::Unavailable, ..SyncRequest::default() };
    house.sync(&alice, idle).await;
    let first = house.sync(&bob, quiet(None)).await;
    assert_eq!(present(&first), [("@alice:home.test", "unavailable")]);
    house.say(&alice, &room, "here I am").await;
    let answer = house.sync(&bob, quiet(Some(&first))).await;
    assert_eq!(present(&answer), [("@alice:home.test", "online")]);
}

#[tokio::test]
async fn what_is_said_is_kept_in_the_slot_of_each_user_and_not_at_all_where_there_is_no_presence() {
    let (off, one) = (House::new(1), House::with_presence(1));
    for (house, rows) in [(off, 0), (one, 3), (House::with_presence(3), 3)] {
        let mut people = Vec::new();
        for name in ["alice", "bob", "carol"] {
            let person = house.account(name).await;
            let user_id = person.user_id().to_owned();
            let status = Some(name.to_owned());
            let said = SetPresence { user_id, state: Availability::Online, status };
            house.rooms.set_presence(&person, said).await.expect("set");
            people.push(person);
        }
        house.test.clock.advance(Duration::from_mins(2));
        let room = house.room(&people[0]).await;
        for person in &people {
            house.join(person, &room).await;
            house.first(person).await;
            house.say(person, &room, "hello").await;
        }
        house.rooms.keep_presence().await.expect("written");
        let kept = house
            .store
            .read::<_, StorageError, _>(|snapshot| PRESENCE_BY_USER.scan(snapshot, (), 10));
        let kept = kept.await.expect("rows");
        let now = u64::from(house.test.environment.now().get());
        assert_eq!(kept.len(), rows);
        for ((user,), row) in kept {
            assert_eq!((row.status.as_deref(), row.active_at), (Some(user.localpart()), now));
        }
    }
}
