//! Waiting for news, and being woken by them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use ruma::RoomId;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use vestibule_rooms::{ReceiptKind, Redact, SendEvent, SetTyping};
use vestibule_storage::{
    Busy, CommitMode, Durability, Executor, MemoryEngine, Store, StoreOptions,
};
use vestibule_sync::SyncRequest;
use vestibule_types::Actor;

use crate::support::{Answer, House, LONG, bodies};

/// How long a test that would hang is let hang, in real time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A sync that waits, begun.
pub(crate) async fn parked(house: &Arc<House>, who: &Actor, since: &Answer) -> JoinHandle<Answer> {
    let (house, who) = (Arc::clone(house), who.clone());
    let request = SyncRequest { timeout: LONG, ..since.then() };
    #[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
    let waiting = tokio::spawn(async move { house.sync(&who, request).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    waiting
}

pub(crate) async fn woken(waiting: JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(PATIENCE, waiting).await.expect("woken").expect("answered")
}

async fn ephemeral(waiting: JoinHandle<Answer>, room: &RoomId) -> Value {
    woken(waiting).await.joined(room)["ephemeral"]["events"][0].clone()
}

#[tokio::test]
async fn who_waits_is_woken_by_what_concerns_them_and_by_nothing_else() {
    for slots in [1, 3] {
        let house = Arc::new(House::new(slots));
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let (shared, other) = (house.room(&alice).await, house.room(&bob).await);
        house.join(&bob, &shared).await;
        let first = house.first(&alice).await;

        let waiting = parked(&house, &alice, &first).await;
        house.say(&bob, &other, "not for alice").await;
        house.keep(&bob, None, "org.example", json!({})).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        house.say(&bob, &shared, "for alice").await;
        let answer = woken(waiting).await;
        assert_eq!(answer.rooms(), 1);
        assert_eq!(bodies(answer.joined(&shared)), ["for alice"]);

        let waiting = parked(&house, &alice, &answer).await;
        house.invite(&bob, &alice, &other).await;
        let answer = woken(waiting).await;
        assert!(answer.room("invite", &other).is_object());

        let waiting = parked(&house, &alice, &answer).await;
        house.keep(&alice, None, "org.example", json!({ "a": 1 })).await;
        let answer = woken(waiting).await;
        assert_eq!(answer.0["account_data"]["events"][0]["content"], json!({ "a": 1 }));

        let waiting = parked(&house, &alice, &answer).await;
        house.keep(&alice, Some(&shared), "m.tag", json!({ "tags": {} })).await;
        let answer = woken(waiting).await;
        assert_eq!(answer.joined(&shared)["account_data"]["events"][0]["type"], "m.tag");

        let waiting = parked(&house, &alice, &answer).await;
        house.join(&alice, &other).await;
        let answer = woken(waiting).await;
        assert!(answer.joined(&other).is_object());
        let waiting = parked(&house, &alice, &answer).await;
        house.say(&bob, &other, "in a room joined meanwhile").await;
        assert_eq!(woken(waiting).await.rooms(), 1);
    }
}

#[tokio::test]
async fn who_goes_out_of_a_room_types_there_no_longer() {
    for slots in [1, 3] {
        let house = Arc::new(House::new(slots));
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        let first = house.first(&alice).await;
        let typing = SetTyping { room_id: room.clone(), timeout: Some(Duration::from_secs(30)) };
        house.rooms.set_typing(&bob, typing).await.expect("typing");
        let seen = house.next(&alice, &first).await;
        let typists = |answer: &Answer| {
            let events = answer.joined(&room)["ephemeral"]["events"].clone();
            let events = events.as_array().cloned().unwrap_or_default();
            let typing = events.into_iter().find(|event| event["type"] == "m.typing");
            typing.map(|event| event["content"]["user_ids"].clone())
        };
        assert_eq!(typists(&seen), Some(json!(["@bob:home.test"])));
        let renamed = json!({ "membership": "join", "displayname": "Bobby" });
        house.set(&bob, &room, ("m.room.member", bob.user_id().as_str()), renamed).await;
        let seen = woken(parked(&house, &alice, &seen).await).await;
        assert_eq!(typists(&seen), None, "a name ends nothing");
        house.leave(&bob, &room).await;
        let mut seen = woken(parked(&house, &alice, &seen).await).await;
        if typists(&seen).is_none() {
            seen = woken(parked(&house, &alice, &seen).await).await;
        }
        assert_eq!(typists(&seen), Some(json!([])));
    }
}

#[tokio::test]
async fn typing_and_receipts_wake_too() {
    let house = Arc::new(House::new(1));
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let said = house.say(&alice, &room, "read me").await;
    let mut last = house.first(&alice).await;

    let waiting = parked(&house, &alice, &last).await;
    let typing = SetTyping { room_id: room.clone(), timeout: Some(Duration::from_secs(5)) };
    house.rooms.set_typing(&bob, typing).await.expect("typing");
    let answer = woken(waiting).await;
    let content = json!({ "user_ids": ["@bob:home.test"] });
    assert_eq!(
        answer.joined(&room)["ephemeral"]["events"],
        json!([{ "type": "m.typing", "content": content }])
    );
    last = answer;

    let waiting = parked(&house, &alice, &last).await;
    house.test.clock.advance(Duration::from_secs(5));
    let answer = woken(waiting).await;
    let event = &answer.joined(&room)["ephemeral"]["events"][0];
    assert_eq!(event["content"]["user_ids"], json!([]), "nobody types for ever");
    last = answer;

    let waiting = parked(&house, &alice, &last).await;
    house.read(&bob, &room, &said, ReceiptKind::Public).await;
    let event = ephemeral(waiting, &room).await;
    assert_eq!(event["type"], "m.receipt");
    assert!(event["content"][said.as_str()]["m.read"]["@bob:home.test"]["ts"].is_u64());
}

#[tokio::test]
async fn a_private_receipt_reaches_its_reader_and_nobody_else() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let said = house.say(&alice, &room, "read me").await;
    let (first_a, first_b) = (house.first(&alice).await, house.first(&bob).await);
    house.read(&bob, &room, &said, ReceiptKind::Private).await;
    assert_eq!(house.next(&alice, &first_a).await.rooms(), 0);
    assert_eq!(house.first(&alice).await.joined(&room)["ephemeral"]["events"], json!([]));
    let own = house.next(&bob, &first_b).await;
    let event = &own.joined(&room)["ephemeral"]["events"][0];
    assert!(event["content"][said.as_str()]["m.read.private"]["@bob:home.test"].is_object());
}

#[tokio::test]
async fn unread_is_what_others_said_since_one_read_or_spoke() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let mut last = house.first(&bob).await;
    let counts = |answer: &Answer| {
        let counts = &answer.joined(&room)["unread_notifications"];
        (counts["notification_count"].clone(), counts["highlight_count"].clone())
    };
    let mention = json!({ "msgtype": "m.text", "body": "bob!",
                          "m.mentions": { "user_ids": ["@bob:home.test"] } });
    house.say(&alice, &room, "one").await;
    let said = house.send(&alice, &room, mention).await;
    last = house.next(&bob, &last).await;
    assert_eq!(counts(&last), (json!(2), json!(1)));
    house.say(&alice, &room, "three").await;
    last = house.next(&bob, &last).await;
    assert_eq!(counts(&last), (json!(3), json!(1)), "counted on from before");
    house.read(&bob, &room, &said, ReceiptKind::Private).await;
    last = house.next(&bob, &last).await;
    assert_eq!(counts(&last), (json!(1), json!(0)));
    house.say(&bob, &room, "I am here").await;
    last = house.next(&bob, &last).await;
    assert_eq!(counts(&last), (json!(0), json!(0)));
    let first = house.first(&alice).await;
    assert_eq!(counts(&first).0, json!(1), "what bob said after alice spoke");
}

#[tokio::test]
async fn time_and_the_end_of_the_server_end_the_waiting() {
    let house = Arc::new(House::new(1));
    let alice = house.account("alice").await;
    let first = house.first(&alice).await;
    let waiting = parked(&house, &alice, &first).await;
    house.test.clock.advance(LONG);
    let answer = woken(waiting).await;
    assert_eq!((answer.rooms(), answer.token()), (0, first.token()));

    let waiting = parked(&house, &alice, &first).await;
    house.test.spawner.stop();
    assert_eq!(woken(waiting).await.token(), first.token());
}

/// Runs the store's closures at once, or, while it is shut, when the test says so.
#[derive(Default)]
struct Gate {
    shut: AtomicBool,
    waiting: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Executor for Gate {
    fn execute(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        if self.shut.load(Ordering::Relaxed) {
            self.waiting.lock().push(job);
        } else {
            job();
        }
        Ok(())
    }
}

#[tokio::test]
async fn news_between_the_snapshot_and_the_waiting_are_not_missed() {
    let gate = Arc::new(Gate::default());
    let options = StoreOptions {
        slots: 3,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::clone(&gate) as Arc<dyn Executor>,
    };
    let house = House::over(Store::open(MemoryEngine::new(3), options).expect("a store"));
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&bob).await;
    house.join(&alice, &room).await;
    let mut last = house.first(&alice).await;
    for text in ["to a stranger", "to somebody known"] {
        gate.shut.store(true, Ordering::Relaxed);
        let request = SyncRequest { timeout: LONG, ..last.then() };
        let mut waiting = Box::pin(house.sync(&alice, request));
        let begun = tokio::select! {
            biased;
            _ = &mut waiting => false,
            () = std::future::ready(()) => true,
        };
        assert!(begun);
        gate.shut.store(false, Ordering::Relaxed);
        let snapshot = gate.waiting.lock().pop();
        assert_eq!(snapshot.is_some(), text == "to a stranger", "others are known from memory");
        if let Some(snapshot) = snapshot {
            snapshot();
        }
        // There was nothing so far. Before anybody looks at that, there is news, and bells ring.
        house.say(&bob, &room, text).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        last = tokio::time::timeout(PATIENCE, waiting).await.expect("told");
        assert_eq!(bodies(last.joined(&room)), [text]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_or_told_twice_between_a_snapshot_and_a_bell() {
    const ROUNDS: usize = 150;
    let house = Arc::new(House::new(3));
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let mut rooms = Vec::new();
    for _ in 0..3 {
        let room = house.room(&bob).await;
        house.join(&alice, &room).await;
        rooms.push(room);
    }
    let mut last = house.first(&alice).await;
    let mut speakers = Vec::new();
    for room in rooms.clone() {
        let (house, bob) = (Arc::clone(&house), bob.clone());
        #[expect(clippy::disallowed_methods, reason = "speakers are tasks of their own")]
        speakers.push(tokio::spawn(async move {
            for number in 0..ROUNDS {
                house.say(&bob, &room, &number.to_string()).await;
                if number % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }));
    }
    let mut heard = vec![Vec::new(); rooms.len()];
    let filter = json!({ "room": { "timeline": { "limit": 500 } } }).to_string();
    let listen = async {
        while heard.iter().any(|texts: &Vec<String>| texts.len() < ROUNDS) {
            let request =
                SyncRequest { timeout: LONG, filter: Some(filter.clone()), ..last.then() };
            last = house.sync(&alice, request).await;
            for (room, heard) in rooms.iter().zip(&mut heard) {
                heard.extend(bodies(last.joined(room)).into_iter().map(ToOwned::to_owned));
            }
        }
    };
    tokio::time::timeout(PATIENCE, listen).await.expect("everything is heard");
    let expected: Vec<String> = (0..ROUNDS).map(|number| number.to_string()).collect();
    for heard in heard {
        assert_eq!(heard, expected);
    }
    for speaker in speakers {
        speaker.await.expect("spoke");
    }
}

#[tokio::test]
async fn who_waits_holds_little() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let waiting = house.sync.sync(&alice, SyncRequest { timeout: LONG, ..SyncRequest::default() });
    let size = size_of_val(&waiting);
    assert!(size <= 2_048, "{size} bytes");
}

#[tokio::test]
async fn members_are_told_the_same_and_the_sender_their_transaction_too() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let carol = house.account("carol").await;
    let room = house.room(&alice).await;
    for member in [&bob, &carol] {
        house.join(member, &room).await;
    }
    let mut firsts = Vec::new();
    for who in [&alice, &bob, &carol] {
        firsts.push(house.first(who).await);
    }
    let command = SendEvent {
        room_id: room.clone(),
        event_type: "m.room.message".to_owned(),
        content: serde_json::from_value(json!({ "msgtype": "m.text", "body": "hello" }))
            .expect("JSON"),
        transaction_id: Some("txn".to_owned()),
        timestamp: None,
    };
    house.rooms.send_event(&bob, command).await.expect("sent");
    let mut shown = Vec::new();
    for (who, first) in [&alice, &bob, &carol].into_iter().zip(&firsts) {
        shown.push(house.next(who, first).await.joined(&room)["timeline"].clone());
    }
    assert_eq!(shown[0], shown[2]);
    let transaction = |shown: &Value| shown["events"][0]["unsigned"].get("transaction_id").cloned();
    assert_eq!(transaction(&shown[0]), None);
    assert_eq!(transaction(&shown[1]), Some(json!("txn")));
}

#[tokio::test]
async fn a_redaction_is_told_to_who_comes_after_it() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let first = house.first(&bob).await;
    let said = house.say(&alice, &room, "oops").await;
    let shown = house.next(&bob, &first).await;
    assert_eq!(bodies(shown.joined(&room)), ["oops"]);
    let command = Redact {
        room_id: room.clone(),
        event_id: said,
        content: serde_json::from_value(json!({})).expect("JSON"),
        transaction_id: None,
    };
    house.rooms.redact(&alice, command).await.expect("redacted");
    let shown = house.next(&bob, &first).await;
    assert_eq!(bodies(shown.joined(&room)), [""; 0], "from the old token too");
}
