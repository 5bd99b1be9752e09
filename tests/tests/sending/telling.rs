//! What one server is told by another, also when it was away.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Person, segment};

use crate::town::{Two, V3, eventually, hears, join, now, told};

#[tokio::test]
async fn messages_state_and_redactions_go_both_ways() {
    let two = Two::new().await;
    let room = two.room().await;
    for (from, to) in [(&two.alice, &two.bob), (&two.bob, &two.alice)] {
        let mut since = now(to).await;
        let said = from.say(&room, "to be redacted").await;
        assert_eq!(hears(to, &room, &mut since, 1).await, ["to be redacted"]);
        let path = format!("{V3}/rooms/{}/redact/{}/r", segment(&room), segment(&said));
        from.http().put(&path, &json!({ "reason": "an example" })).await.ok();
        let is = |kind: &'static str| {
            move |events: &[Value]| events.iter().any(|event| event["type"] == kind)
        };
        told(to, &room, &mut since, is("m.room.redaction")).await;
        let event = to.of_room(&room, &format!("event/{}", segment(&said))).await.ok();
        assert_eq!(event["content"], json!({}), "{event}");
    }
    let mut since = now(&two.bob).await;
    two.alice.set_state(&room, "m.room.topic", "", &json!({ "topic": "sending" })).await.ok();
    let is_topic = |events: &[Value]| events.iter().any(|event| event["type"] == "m.room.topic");
    told(&two.bob, &room, &mut since, is_topic).await;
    let topic = two.bob.state(&room, "m.room.topic", "").await.ok();
    assert_eq!(topic["topic"], "sending");
}

#[tokio::test]
async fn order_is_kept() {
    let two = Two::new().await;
    let room = two.room().await;
    let mut since = now(&two.bob).await;
    let all: Vec<String> = (0..80).map(|number| number.to_string()).collect();
    for text in &all {
        two.alice.say(&room, text).await;
    }
    assert_eq!(hears(&two.bob, &room, &mut since, all.len()).await, all);
}

#[tokio::test]
async fn a_server_that_was_cut_off_gets_everything_and_costs_nothing_meanwhile() {
    let two = Two::new().await;
    let room = two.room().await;
    two.alice.say(&room, "before").await;
    eventually("the message arrives", async || {
        two.bob.messages(&room).await.contains(&"before".to_owned()).then_some(())
    })
    .await;
    let mut since = now(&two.bob).await;
    two.network.cut("b.example");
    let all: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    let before = two.requests("b.example", "/send/");
    for text in &all {
        two.alice.say(&room, text).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tried = two.requests("b.example", "/send/") - before;
    assert!(tried <= 2, "a server out of reach was asked {tried} times");
    two.network.mend("b.example");
    // Bob's server makes itself heard.
    two.bob.say(&room, "I am back").await;
    let mut heard = hears(&two.bob, &room, &mut since, all.len() + 1).await;
    heard.retain(|text| text != "I am back");
    assert_eq!(heard, all);
}

#[tokio::test]
async fn a_restart_in_between_loses_nothing_and_doubles_nothing() {
    let two = Two::like(Blueprint::default().on_disk()).await;
    let room = two.room().await;
    let mut since = now(&two.bob).await;
    two.network.cut("b.example");
    for text in ["one", "two"] {
        two.alice.say(&room, text).await;
    }
    let transactions = |two: &Two| -> Vec<String> {
        let sent = two.network.sent().into_iter();
        let sent = sent.filter(|it| it.to == "b.example" && it.line.contains("/send/"));
        sent.map(|it| it.line).collect()
    };
    let first = eventually("a transaction is tried", async || transactions(&two).last().cloned());
    let first = first.await;
    let Two { network, a, b, alice, bob } = two;
    let a = a.restart().await;
    let alice_again = a.login("alice").await;
    drop(alice);
    let two = Two { network, a, b, alice: alice_again, bob };
    two.network.mend("b.example");
    two.bob.say(&room, "I am back").await;
    two.alice.say(&room, "three").await;
    let mut heard = hears(&two.bob, &room, &mut since, 4).await;
    heard.retain(|text| text != "I am back");
    assert_eq!(heard, ["one", "two", "three"]);
    let again = transactions(&two).into_iter().filter(|line| *line == first).count();
    assert!(again >= 2, "the transaction under way was sent again as it was");
}

#[tokio::test]
async fn typing_and_receipts_cross() {
    let two = Two::new().await;
    let room = two.room().await;
    let mut since = now(&two.bob).await;
    let said = two.alice.say(&room, "read this").await;
    hears(&two.bob, &room, &mut since, 1).await;

    let path = format!("{V3}/rooms/{}/typing/{}", segment(&room), segment(&two.bob.user_id));
    two.bob.http().put(&path, &json!({ "typing": true, "timeout": 30_000 })).await.ok();
    two.bob.in_room(&room, &format!("receipt/m.read/{}", segment(&said)), &json!({})).await.ok();
    let (mut typed, mut read) = (false, false);
    let mut since = now(&two.alice).await;
    let first = two.alice.sync("").await;
    let mut look = |told: &Value| {
        let ephemeral = told["rooms"]["join"][&room]["ephemeral"]["events"].clone();
        for event in ephemeral.as_array().into_iter().flatten() {
            typed |= event["type"] == "m.typing"
                && event["content"]["user_ids"] == json!([two.bob.user_id]);
            read |= event["type"] == "m.receipt"
                && event["content"][&said]["m.read"][&two.bob.user_id].is_object();
        }
        typed && read
    };
    let mut done = look(&first);
    for _ in 0..20 {
        if done {
            break;
        }
        let told = two.alice.sync_for(&since, 1_000).await;
        since = told["next_batch"].as_str().expect("a token").to_owned();
        done = look(&told);
    }
    assert!(done, "typing {typed}, read {read}");
}

/// The presence of somebody, as somebody else's server tells it.
async fn presence(asker: &Person, of: &Person) -> Value {
    let path = format!("{V3}/presence/{}/status", segment(&of.user_id));
    asker.http().get(&path).await.ok()
}

async fn shows(person: &Person, state: &str, status: &str) {
    let path = format!("{V3}/presence/{}/status", segment(&person.user_id));
    let body = json!({ "presence": state, "status_msg": status });
    person.http().put(&path, &body).await.ok();
}

#[tokio::test]
async fn presence_crosses_where_both_servers_want_it() {
    let wanted = "[presence]\nsend_presence = true\nreceive_presence = true\n";
    let two = Two::like(Blueprint::default().with(wanted)).await;
    two.room().await;
    shows(&two.bob, "unavailable", "tea").await;
    let told = eventually("bob's status crosses", async || {
        let told = presence(&two.alice, &two.bob).await;
        (told["status_msg"] == "tea").then_some(told)
    });
    assert_eq!(told.await["presence"], "unavailable");
    shows(&two.bob, "online", "coffee").await;
    let path = format!("{V3}/sync?set_presence=offline");
    eventually("alice's client is told", async || {
        let sync = two.alice.http().get(&path).await.ok();
        let events = sync["presence"]["events"].as_array().cloned().unwrap_or_default();
        let is_bob = |event: &Value| {
            event["sender"] == two.bob.user_id.as_str() && event["content"]["presence"] == "online"
        };
        events.iter().any(is_bob).then_some(())
    })
    .await;
}

#[tokio::test]
async fn presence_stays_at_home_unless_the_operator_says_otherwise() {
    let two = Two::like(Blueprint::default().with("[presence]\nreceive_presence = true\n")).await;
    let room = two.room().await;
    let mut since = now(&two.bob).await;
    shows(&two.alice, "online", "secret").await;
    two.alice.say(&room, "after that").await;
    hears(&two.bob, &room, &mut since, 1).await;
    assert_eq!(presence(&two.bob, &two.alice).await["presence"], "offline");
}

#[tokio::test]
async fn messages_to_devices_cross_in_order_and_once() {
    let two = Two::new().await;
    two.room().await;
    let since = now(&two.bob).await;
    for text in ["one", "two", "three"] {
        let path = format!("{V3}/sendToDevice/m.test/{text}");
        let body = json!({ "messages": { &two.bob.user_id: { "*": { "text": text } } } });
        two.alice.http().put(&path, &body).await.ok();
        two.alice.http().put(&path, &body).await.ok();
    }
    let mut heard: Vec<String> = Vec::new();
    let mut since = since;
    for _ in 0..20 {
        if heard.len() >= 3 {
            break;
        }
        let told = two.bob.sync_for(&since, 1_000).await;
        since = told["next_batch"].as_str().expect("a token").to_owned();
        let events = told["to_device"]["events"].as_array().cloned().unwrap_or_default();
        heard.extend(events.iter().map(|event| {
            assert_eq!(event["sender"], two.alice.user_id.as_str());
            event["content"]["text"].as_str().expect("a text").to_owned()
        }));
    }
    assert_eq!(heard, ["one", "two", "three"]);
}

#[tokio::test]
async fn people_of_one_server_alone_cause_no_requests() {
    let two = Two::new().await;
    let carol = two.a.register("carol").await;
    let room = two.alice.create_room(&json!({ "preset": "public_chat" })).await;
    carol.join(&room).await.ok();
    for number in 0..5 {
        two.alice.say(&room, &number.to_string()).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(two.network.sent(), []);
}

#[tokio::test]
async fn whoever_is_let_in_by_one_server_is_told_of_to_all_and_told_by_all() {
    let two = Two::new().await;
    let room = two.room().await;
    let c = Blueprint::default().on(&two.network, "c.example").start().await;
    let carol = c.register("carol").await;
    let mut since = now(&two.bob).await;
    join(&carol, &room, "a.example").await.ok();
    let is_carol = |events: &[Value]| events.iter().any(|it| it["state_key"] == "@carol:c.example");
    told(&two.bob, &room, &mut since, is_carol).await;
    assert_eq!(two.requests("b.example", "/send_join/"), 0);
    let (mut by_alice, mut by_carol) = (now(&two.alice).await, now(&carol).await);
    carol.say(&room, "from carol").await;
    assert_eq!(hears(&two.bob, &room, &mut since, 1).await, ["from carol"]);
    assert_eq!(hears(&two.alice, &room, &mut by_alice, 1).await, ["from carol"]);
    two.bob.say(&room, "from bob").await;
    assert_eq!(hears(&carol, &room, &mut by_carol, 2).await, ["from carol", "from bob"]);
}
