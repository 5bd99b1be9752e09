//! History from before somebody's server was there.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Person, segment, texts};

use crate::town::{Two, eventually, join};

/// All messages of a room, oldest first, read page by page towards the past until there is no more.
async fn read_back(person: &Person, room: &str, limit: usize) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), None::<String>);
    for _ in 0..200 {
        let from_here = from.map(|from| format!("&from={}", segment(&from))).unwrap_or_default();
        let what = format!("messages?dir=b&limit={limit}{from_here}");
        let page = person.of_room(room, &what).await.ok();
        events.extend(page["chunk"].as_array().cloned().unwrap_or_default());
        from = page["end"].as_str().map(str::to_owned);
        if from.is_none() {
            events.reverse();
            return events;
        }
    }
    panic!("the history does not end");
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn whoever_joins_late_reads_back_to_the_beginning_in_order_and_without_holes() {
    for limit in [7, 50] {
        let two = Two::new().await;
        let room = two.alice.create_room(&json!({ "preset": "public_chat" })).await;
        for number in 0..130 {
            two.alice.say(&room, &number.to_string()).await;
            if number % 40 == 20 {
                let topic = json!({ "topic": number.to_string() });
                two.alice.set_state(&room, "m.room.topic", "", &topic).await.ok();
            }
        }
        join(&two.bob, &room, "a.example").await.ok();
        two.in_room(&room, "@bob:b.example").await;
        let theirs = read_back(&two.alice, &room, 100).await;
        let ours = read_back(&two.bob, &room, limit).await;
        assert_eq!(ids(&ours), ids(&theirs), "pages of {limit}");
        assert_eq!(ours[0]["type"], "m.room.create");
        let asked = two.requests("a.example", "/backfill/");
        assert!(asked <= 5, "{asked} requests");
        read_back(&two.bob, &room, limit).await;
        assert_eq!(two.requests("a.example", "/backfill/"), asked, "it is here now");
    }
}

#[tokio::test]
async fn what_was_said_while_nobody_of_ours_was_there_is_between_both_stays() {
    let two = Two::new().await;
    let room = two.room().await;
    two.alice.say(&room, "together").await;
    eventually("the message arrives", async || {
        two.bob.messages(&room).await.contains(&"together".to_owned()).then_some(())
    })
    .await;
    two.bob.leave(&room).await.ok();
    eventually("the leave arrives", async || {
        let member = two.alice.state(&room, "m.room.member", &two.bob.user_id).await;
        (member.body["membership"] == "leave").then_some(())
    })
    .await;
    for number in 0..30 {
        two.alice.say(&room, &number.to_string()).await;
    }
    join(&two.bob, &room, "a.example").await.ok();
    two.in_room(&room, "@bob:b.example").await;
    two.alice.say(&room, "together again").await;
    eventually("the message arrives", async || {
        two.bob.messages(&room).await.contains(&"together again".to_owned()).then_some(())
    })
    .await;
    let (ours, theirs) =
        (read_back(&two.bob, &room, 10).await, read_back(&two.alice, &room, 100).await);
    assert_eq!(ids(&ours), ids(&theirs));
}

#[tokio::test]
async fn another_server_has_the_history_of_one_that_is_gone() {
    let two = Two::new().await;
    let room = two.room().await;
    for number in 0..40 {
        two.alice.say(&room, &number.to_string()).await;
    }
    eventually("the messages arrive", async || {
        two.bob.messages(&room).await.contains(&"39".to_owned()).then_some(())
    })
    .await;
    let theirs = read_back(&two.bob, &room, 100).await;
    let c = Blueprint::default().on(&two.network, "c.example").start().await;
    let carol = c.register("carol").await;
    join(&carol, &room, "b.example").await.ok();
    two.network.cut("a.example");
    let ours = read_back(&carol, &room, 20).await;
    let before_carol = ids(&ours).len() - 1;
    assert_eq!(ids(&ours)[..before_carol], ids(&theirs));
}

#[tokio::test]
async fn history_that_its_readers_may_not_see_is_not_shown() {
    let two = Two::new().await;
    let hidden = json!([{
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": { "history_visibility": "joined" },
    }]);
    let options = json!({ "preset": "public_chat", "initial_state": hidden });
    let room = two.alice.create_room(&options).await;
    two.alice.say(&room, "before bob").await;
    join(&two.bob, &room, "a.example").await.ok();
    two.in_room(&room, "@bob:b.example").await;
    two.alice.say(&room, "with bob").await;
    eventually("the message arrives", async || {
        let heard = two.bob.messages(&room).await;
        heard.contains(&"with bob".to_owned()).then_some(())
    })
    .await;
    let seen = texts(&json!(read_back(&two.bob, &room, 20).await));
    assert_eq!(seen, ["with bob"]);
}

#[tokio::test]
async fn nothing_is_fetched_for_a_guest() {
    let two = Two::like(Blueprint::default().with_guests()).await;
    let room = two.a.person("mona", "moderator").await.create_guest_room(Some("hall")).await;
    let mona = two.a.login("mona").await;
    for number in 0..20 {
        mona.say(&room, &number.to_string()).await;
    }
    let host = two.b.person("host", "moderator").await;
    join(&host, &room, "a.example").await.ok();
    host.create_alias("#hall:b.example", &room).await.ok();
    let guest = two.b.guest().await;
    guest.join(&room).await.ok();
    let before = two.requests("a.example", "/backfill/");
    guest.of_room(&room, "messages?dir=b&limit=100").await.ok();
    assert_eq!(two.requests("a.example", "/backfill/"), before);
    host.of_room(&room, "messages?dir=b&limit=100").await.ok();
    assert!(two.requests("a.example", "/backfill/") > before, "for members it is");
}

#[tokio::test]
async fn the_surroundings_of_an_event_reach_across_a_gap() {
    let two = Two::new().await;
    let room = two.alice.create_room(&json!({ "preset": "public_chat" })).await;
    for number in 0..10 {
        two.alice.say(&room, &number.to_string()).await;
    }
    join(&two.bob, &room, "a.example").await.ok();
    two.in_room(&room, "@bob:b.example").await;
    let said = two.alice.say(&room, "here").await;
    let context = eventually("the message arrives", async || {
        let what = format!("context/{}?limit=10", segment(&said));
        let context = two.bob.of_room(&room, &what).await;
        (context.status == 200).then_some(context.body)
    })
    .await;
    assert_eq!(texts(&context["events_before"]), ["9", "8", "7", "6"]);
}

#[tokio::test]
async fn an_event_of_a_moment_before_our_time_is_found_and_fetched() {
    let two = Two::new().await;
    let room = two.alice.create_room(&json!({ "preset": "public_chat" })).await;
    let early = two.alice.say(&room, "early").await;
    let at = two.alice.of_room(&room, &format!("event/{early}")).await.ok()["origin_server_ts"]
        .as_u64()
        .expect("a time");
    // More than a page of history waits for.
    for number in 0..440 {
        two.alice.say(&room, &number.to_string()).await;
    }
    join(&two.bob, &room, "a.example").await.ok();
    two.in_room(&room, "@bob:b.example").await;
    let moment = |person: &Person, at: u64, way: &str| {
        let path = format!(
            "/_matrix/client/v1/rooms/{}/timestamp_to_event?ts={at}&dir={way}",
            segment(&room)
        );
        let http = person.http().clone();
        async move { http.get(&path).await }
    };
    for way in ["f", "b"] {
        let theirs = moment(&two.alice, at, way).await.ok();
        assert_eq!(moment(&two.bob, at, way).await.ok(), theirs, "{way}");
    }
    let context = two.bob.of_room(&room, &format!("context/{early}?limit=2")).await.ok();
    assert_eq!(context["event"]["event_id"], early.as_str());
    let asked = two.requests("a.example", "/timestamp_to_event/");
    moment(&two.bob, at, "f").await.ok();
    assert_eq!(two.requests("a.example", "/timestamp_to_event/"), asked, "it is here now");
    assert_eq!(moment(&two.bob, 1, "b").await.refusal(), (404, "M_NOT_FOUND"));
}
