//! What is told from memory: the same as a pass over the store tells, for less.

use std::sync::{Arc, atomic::Ordering};

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::{Value, json};
use vestibule_rooms::{ReceiptKind, Redact, SetTyping};
use vestibule_sync::SyncRequest;
use vestibule_testkit::SeededRandom;
use vestibule_types::Actor;

use crate::{
    cost::counted,
    support::{Answer, House, LONG, bodies},
    waiting::{parked, woken},
};

/// People who are in one room, each with a first answer.
async fn crowd(house: &House, room: &OwnedRoomId, size: usize) -> Vec<(Actor, Answer)> {
    let mut crowd = Vec::new();
    for number in 0..size {
        let person = house.account(&format!("person{number}")).await;
        house.join(&person, room).await;
        crowd.push(person);
    }
    let mut answers = Vec::new();
    for person in crowd {
        let first = house.first(&person).await;
        answers.push((person, first));
    }
    answers
}

/// Lets whatever follows the log follow it.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_is_read_once_however_many_wait_for_it() {
    let mut costs = Vec::new();
    for size in [4, 60] {
        let (house, reads) = counted();
        let house = Arc::new(house);
        let bob = house.account("bob").await;
        let room = house.room(&bob).await;
        let mut crowd = crowd(&house, &room, size).await;
        for text in ["one", "two", "three"] {
            let mut waiting = Vec::new();
            let before = reads.load(Ordering::Relaxed);
            for (person, last) in &crowd {
                waiting.push(parked(&house, person, last).await);
            }
            house.say(&bob, &room, text).await;
            let mut answers = Vec::new();
            for waiting in waiting {
                answers.push(woken(waiting).await);
            }
            costs.push((text, reads.load(Ordering::Relaxed) - before));
            for (count, ((_, last), answer)) in crowd.iter_mut().zip(answers).enumerate() {
                assert_eq!(bodies(answer.joined(&room)), [text], "{count}");
                let unread = &answer.joined(&room)["unread_notifications"]["notification_count"];
                assert!(unread.as_u64() >= Some(1), "{unread}");
                *last = answer;
            }
        }
    }
    let of = |text: &str| -> Vec<u64> {
        costs.iter().filter(|(of, _)| *of == text).map(|(_, cost)| *cost).collect()
    };
    assert!(of("one")[1] > of("one")[0], "who was never here is looked up");
    assert_eq!(of("three")[0], of("three")[1], "few and many");
}

#[tokio::test]
async fn receipts_and_typing_are_read_once_however_many_wait_for_them() {
    let mut costs = Vec::new();
    for size in [4, 60] {
        let (house, reads) = counted();
        let house = Arc::new(house);
        let (bob, carol) = (house.account("bob").await, house.account("carol").await);
        let room = house.room(&bob).await;
        house.join(&carol, &room).await;
        let mut crowd = crowd(&house, &room, size).await;
        // What is unread was worked out once.
        let event = house.say(&bob, &room, "read this").await;
        settle().await;
        for (person, last) in &mut crowd {
            *last = house.sync(person, last.then()).await;
        }
        for (reader, kind) in
            [(Some(&bob), "m.receipt"), (None, "m.typing"), (Some(&carol), "m.receipt")]
        {
            let mut waiting = Vec::new();
            for (person, last) in &crowd {
                waiting.push(parked(&house, person, last).await);
            }
            let before = reads.load(Ordering::Relaxed);
            if let Some(reader) = reader {
                house.read(reader, &room, &event, ReceiptKind::Public).await;
            } else {
                let command = SetTyping { room_id: room.clone(), timeout: Some(LONG) };
                house.rooms.set_typing(&bob, command).await.expect("typing");
            }
            let mut answers = Vec::new();
            for waiting in waiting {
                answers.push(woken(waiting).await);
            }
            costs.push((size, reads.load(Ordering::Relaxed) - before));
            for ((_, last), answer) in crowd.iter_mut().zip(answers) {
                let joined = answer.joined(&room);
                assert_eq!(joined["ephemeral"]["events"][0]["type"], kind, "{joined}");
                assert_eq!(joined["unread_notifications"]["notification_count"], 1, "{joined}");
                *last = answer;
            }
        }
    }
    let (few, many) = costs.split_at(3);
    let cost = |of: &[(usize, u64)]| of.iter().map(|(_, cost)| *cost).collect::<Vec<u64>>();
    assert_eq!(cost(few), cost(many), "few and many");
}

#[tokio::test]
async fn whoever_loads_members_lazily_is_shown_a_member_once() {
    let (house, _) = counted();
    let house = Arc::new(house);
    let (bob, carol) = (house.account("bob").await, house.account("carol").await);
    let room = house.room(&bob).await;
    house.join(&carol, &room).await;
    let mut crowd = crowd(&house, &room, 4).await;
    let filter = r#"{"room":{"state":{"lazy_load_members":true}}}"#;
    for (speaker, text, news) in
        [(&bob, "one", 1), (&bob, "two", 0), (&carol, "three", 1), (&bob, "four", 0)]
    {
        house.say(speaker, &room, text).await;
        settle().await;
        for (person, last) in &mut crowd {
            let request =
                SyncRequest { filter: Some(filter.to_owned()), timeout: LONG, ..last.then() };
            let answer = house.sync(person, request).await;
            assert_eq!(bodies(answer.joined(&room)), [text]);
            let state = &answer.joined(&room)["state"]["events"];
            assert_eq!(state.as_array().map(Vec::len), Some(news), "{text}: {state}");
            *last = answer;
        }
    }
}

/// A house in which things happen.
struct Town {
    house: House,
    people: Vec<Actor>,
    rooms: Vec<OwnedRoomId>,
    said: Vec<(OwnedRoomId, OwnedEventId)>,
    random: SeededRandom,
}

impl Town {
    fn pick<'t, T>(&self, of: &'t [T]) -> &'t T {
        let count = u64::try_from(of.len()).expect("few");
        &of[usize::try_from(self.random.below(count)).expect("few")]
    }

    async fn change_state(&mut self, who: &Actor, room: &OwnedRoomId, is_in: bool) {
        let (owner, first) = (&self.people[0], &self.rooms[0]);
        let (house, number) = (&self.house, self.random.next() % 99);
        match number % 4 {
            0 => {
                let topic = json!({ "topic": number });
                house.set(owner, first, ("m.room.topic", ""), topic).await;
            }
            1 => {
                let visibility = if number < 50 { "joined" } else { "shared" };
                let content = json!({ "history_visibility": visibility });
                house.set(owner, first, ("m.room.history_visibility", ""), content).await;
            }
            _ if is_in => {
                let content = json!({ "membership": "join", "displayname": number.to_string() });
                house.set(who, room, ("m.room.member", who.user_id().as_str()), content).await;
            }
            _ => {}
        }
    }

    /// Something happens, most often that somebody says something. Nobody minds when it may not.
    async fn happen(&mut self) {
        let house = &self.house;
        let (who, room) = (self.pick(&self.people).clone(), self.pick(&self.rooms).clone());
        let is_in = house.rooms.joined_rooms(&who).await.expect("rooms").contains(&room);
        let message = match self.random.below(20) {
            0 => json!({ "msgtype": "m.text", "body": "person1, look" }),
            1 if self.said.iter().any(|(it, _)| *it == room) => {
                // The first that was said there has no relation itself.
                let first = self.said.iter().find(|(it, _)| *it == room).map(|(_, event)| event);
                let relation = json!({ "rel_type": "m.thread", "event_id": first });
                json!({ "msgtype": "m.text", "body": "in a thread", "m.relates_to": relation })
            }
            2 => {
                json!({ "msgtype": "m.text", "body": "a sign", "m.mentions": { "user_ids": ["@person0:home.test"] } })
            }
            _ => json!({ "msgtype": "m.text", "body": "talk" }),
        };
        match self.random.below(75) {
            0 if is_in && who.user_id() != self.people[0].user_id() => {
                house.leave(&who, &room).await;
            }
            0 | 1 if !is_in => house.join(&who, &room).await,
            2 => {
                house.keep(&who, None, "org.example", json!({ "n": self.random.next() % 9 })).await;
            }
            3 => house.keep(&who, Some(&room), "m.tag", json!({ "tags": {} })).await,
            4 => {
                let whom = self.pick(&self.people).user_id().to_string();
                let mut ignored = serde_json::Map::new();
                if self.random.below(2) == 0 {
                    ignored.insert(whom, json!({}));
                }
                let content = json!({ "ignored_users": ignored });
                house.keep(&who, None, "m.ignored_user_list", content).await;
            }
            5 | 60..=64 if is_in => {
                let timeout = (self.random.below(2) == 0).then_some(LONG);
                let command = SetTyping { room_id: room.clone(), timeout };
                house.rooms.set_typing(&who, command).await.expect("typing");
            }
            6 | 7 | 65..=74 if is_in => {
                let here: Vec<_> = self.said.iter().filter(|(it, _)| *it == room).collect();
                if !here.is_empty() {
                    let kind = [ReceiptKind::Public, ReceiptKind::Private][here.len() % 2];
                    house.read(&who, &room, &self.pick(&here).1.clone(), kind).await;
                }
            }
            8 if is_in => {
                let own: Vec<_> = self.said.iter().filter(|(it, _)| *it == room).collect();
                if !own.is_empty() {
                    let command = Redact {
                        room_id: room.clone(),
                        event_id: self.pick(&own).1.clone(),
                        content: serde_json::from_value(json!({})).expect("JSON"),
                        transaction_id: None,
                    };
                    // Not everybody may.
                    let _refused = house.rooms.redact(&who, command).await;
                }
            }
            9..=12 => self.change_state(&who, &room, is_in).await,
            _ if is_in => {
                let event = house.send(&who, &room, message).await;
                self.said.push((room, event));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_is_told_from_memory_is_what_a_pass_would_tell() {
    const FILTERS: [&str; 5] = [
        "",
        r#"{"room":{"timeline":{"unread_thread_notifications":true,"limit":3}}}"#,
        r#"{"room":{"timeline":{"not_types":["m.room.topic"]},"ephemeral":{"not_types":["*"]}}}"#,
        r#"{"room":{"timeline":{"types":["m.room.message"],"limit":2}}}"#,
        r#"{"room":{"timeline":{"not_senders":["@person0:home.test"],"limit":4}}}"#,
    ];
    let (mut told, mut from_memory) = (0, 0);
    for seed in 0..3 {
        let (house, reads) = counted();
        let owner = house.account("person0").await;
        let rooms = vec![house.room(&owner).await, house.room(&owner).await];
        let mut people = vec![owner];
        for number in 1..9 {
            let person = house.account(&format!("person{number}")).await;
            house.join(&person, &rooms[0]).await;
            people.push(person);
        }
        let mut tokens: Vec<Vec<String>> = Vec::new();
        for person in &people {
            tokens.push(vec![house.first(person).await.token()]);
        }
        let random = SeededRandom::new(seed);
        let mut town = Town { house, people, rooms, said: Vec::new(), random };
        for _ in 0..60 {
            for _ in 0..=town.random.below(2) {
                town.happen().await;
            }
            settle().await;
            for (number, person) in town.people.clone().iter().enumerate() {
                if town.random.below(3) == 0 {
                    continue;
                }
                // Sometimes an answer is lost, and is asked for again.
                let own = &tokens[number];
                let lost = usize::from(town.random.below(8) == 0);
                let since = own[own.len().saturating_sub(1 + lost)].clone();
                let filter = FILTERS[number % FILTERS.len()];
                let request = SyncRequest {
                    since: Some(since),
                    filter: Some(filter.to_owned()),
                    ..SyncRequest::default()
                };
                let expected = town.house.without_memory().sync(person, request.clone()).await;
                let expected = serde_json::to_value(expected.expect("an answer")).expect("JSON");
                let something = is_something(&expected);
                let timeout = if something { LONG } else { SyncRequest::default().timeout };
                let before = reads.load(Ordering::Relaxed);
                let answer = town.house.sync(person, SyncRequest { timeout, ..request }).await;
                from_memory += u32::from(something && reads.load(Ordering::Relaxed) == before);
                told += u32::from(something);
                assert_eq!(answer.0, expected, "seed {seed}, for {}", person.user_id());
                tokens[number].push(answer.token());
            }
        }
    }
    assert!(from_memory * 6 >= told, "{from_memory} of {told} were told from memory");
}

/// Whether an answer would end a wait.
fn is_something(answer: &Value) -> bool {
    let rooms = answer["rooms"].as_object().expect("sections");
    let lists = answer["device_lists"].as_object().expect("lists");
    rooms.values().any(|section| section.as_object().is_some_and(|it| !it.is_empty()))
        || ["account_data", "to_device", "presence"]
            .iter()
            .any(|section| answer[section]["events"].as_array().is_some_and(|it| !it.is_empty()))
        || lists.values().any(|list| list.as_array().is_some_and(|it| !it.is_empty()))
}
