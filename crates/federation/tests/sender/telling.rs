//! What is told to whom.

use std::time::Duration;

use serde_json::json;
use vestibule_events::Verified;
use vestibule_rooms::{
    Availability, ChangeMember, Join, Leave, ReceiptKind, Received, Redact, SendReceipt, SendState,
    SetPresence, SetTyping,
};

use crate::rig::{Rig, Transaction, object};

const BOB: &str = "@bob:b.test";
const EVE: &str = "@eve:e.test";

#[tokio::test]
async fn servers_in_a_room_are_told_of_our_events_in_order_and_of_nobody_elses() {
    for slots in [1, 3] {
        let rig = Rig::new(slots).await;
        let alice = rig.account("alice").await;
        let room = rig.open_room(&alice).await;
        rig.say(&alice, &room, "before bob").await;
        rig.join_from(&room, BOB).await;
        for text in ["one", "two", "three"] {
            rig.say(&alice, &room, text).await;
        }
        rig.settle().await;
        rig.join_from(&room, EVE).await;
        rig.say(&alice, &room, "four").await;
        rig.settle().await;
        assert_eq!(rig.wire.texts("b.test"), ["one", "two", "three", "four"], "{slots} slots");
        assert_eq!(rig.wire.texts("e.test"), ["four"]);
    }
}

#[tokio::test]
async fn one_transaction_is_under_way_and_holds_fifty_events_at_most() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.silence("b.test");
    rig.say(&alice, &room, "first").await;
    rig.settle().await;
    for number in 0..120 {
        rig.say(&alice, &room, &number.to_string()).await;
    }
    rig.settle().await;
    assert_eq!(rig.wire.tried("b.test").len(), 1, "the first is still under way");
    rig.wire.mend("b.test");
    // The call ends, and after the back-off the same transaction is tried again.
    rig.pass(Duration::from_mins(2)).await;
    rig.pass(Duration::from_mins(2)).await;
    let tried = rig.wire.tried("b.test");
    assert_eq!(tried[0], tried[1], "the same again, under the same id");
    let sizes: Vec<usize> = tried.iter().map(|it| it.texts().len()).collect();
    assert_eq!(sizes, [1, 1, 50, 50, 20]);
}

#[tokio::test]
async fn messages_in_a_room_of_our_own_people_write_nothing_more() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.pass(Duration::from_mins(1)).await;
    let before = rig.commits();
    for _ in 0..10 {
        rig.say(&alice, &room, "hello").await;
    }
    rig.pass(Duration::from_mins(1)).await;
    assert_eq!(rig.commits() - before, 10);
}

#[tokio::test]
async fn a_server_whose_last_member_is_removed_is_told_of_that_and_of_nothing_later() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    let kick =
        ChangeMember { room_id: room.clone(), user_id: BOB.try_into().unwrap(), reason: None };
    rig.rooms.kick(&alice, kick).await.unwrap();
    rig.say(&alice, &room, "after").await;
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), ["m.room.member"]);
}

#[tokio::test]
async fn what_we_let_in_for_others_is_brought_to_the_rest_of_the_room() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    let join = json!({ "membership": "join" });
    let pdu = rig.build(&room, (EVE, "m.room.member", Some(EVE)), join).await;
    let received = rig.rooms.receive_and_relay(Verified::unchecked_for_tests(pdu)).await.unwrap();
    assert_eq!(received, Received::Accepted);
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), ["m.room.member"]);
    assert_eq!(rig.wire.texts("e.test"), [""; 0]);
}

#[tokio::test]
async fn public_receipts_are_told_and_private_ones_are_not() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    let event_id = rig.say(&alice, &room, "hello").await;
    rig.settle().await;
    for kind in [ReceiptKind::Private, ReceiptKind::Public] {
        let receipt = SendReceipt {
            room_id: room.clone(),
            event_id: event_id.clone(),
            kind,
            thread: Some("main".to_owned()),
        };
        rig.rooms.send_receipt(&alice, receipt).await.unwrap();
        rig.settle().await;
    }
    let edus: Vec<_> = rig.wire.taken("b.test").iter().flat_map(Transaction::edus).collect();
    let [(kind, content)] = &edus[..] else { panic!("one receipt: {edus:?}") };
    assert_eq!(kind, "m.receipt");
    let receipt = &content[room.as_str()]["m.read"]["@alice:home.test"];
    assert_eq!(receipt["event_ids"], json!([event_id]));
    assert_eq!(receipt["data"]["thread_id"], "main");
    assert!(receipt["data"]["ts"].is_u64());
}

#[tokio::test]
async fn typing_is_told_repeated_and_ended() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    let typing = |timeout| SetTyping { room_id: room.clone(), timeout };
    let told = |rig: &Rig| -> Vec<bool> {
        let edus = rig.wire.taken("b.test").into_iter().flat_map(|it| it.edus());
        edus.map(|(_, content)| content["typing"].as_bool().unwrap()).collect()
    };
    rig.rooms.set_typing(&alice, typing(Some(Duration::from_secs(100)))).await.unwrap();
    rig.settle().await;
    assert_eq!(told(&rig), [true]);
    rig.pass(Duration::from_secs(41)).await;
    assert_eq!(told(&rig), [true, true], "others forget who is not named again");
    rig.rooms.set_typing(&alice, typing(None)).await.unwrap();
    rig.settle().await;
    assert_eq!(told(&rig), [true, true, false]);
    rig.pass(Duration::from_mins(1)).await;
    assert_eq!(told(&rig), [true, true, false]);
}

#[tokio::test]
async fn what_was_redacted_while_it_waited_goes_out_redacted() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.cut("b.test");
    let event_id = rig.say(&alice, &room, "a secret").await;
    let kept = rig.say(&alice, &room, "no secret").await;
    rig.settle().await;
    let redact = Redact {
        room_id: room.clone(),
        event_id,
        content: object(json!({})),
        transaction_id: None,
    };
    rig.rooms.redact(&alice, redact).await.unwrap();
    rig.settle().await;
    rig.wire.mend("b.test");
    rig.pass(Duration::from_mins(2)).await;
    rig.say(&alice, &room, "live").await;
    rig.settle().await;
    let told = rig.wire.taken("b.test");
    let pdus: Vec<_> = told.iter().flat_map(|it| it.body["pdus"].as_array().unwrap()).collect();
    assert_eq!(pdus.len(), 4, "{kept} and all others: {pdus:?}");
    assert_eq!(pdus[0]["content"], json!({}));
    assert!(pdus[0]["signatures"]["home.test"].is_object() && pdus[0]["hashes"].is_object());
    assert_eq!(pdus[1]["content"]["body"], "no secret");
}

#[tokio::test]
async fn the_redacted_reason_of_a_leave_is_not_told_again() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    let levels = SendState {
        room_id: room.clone(),
        event_type: "m.room.power_levels".to_owned(),
        state_key: String::new(),
        content: object(json!({ "users": { BOB: 100 } })),
        timestamp: None,
    };
    rig.rooms.send_state(&alice, levels).await.unwrap();
    let reason = Some("a secret".to_owned());
    let leave = Leave { room_id: room.clone(), reason };
    rig.rooms.leave(&alice, leave).await.unwrap();
    let b = ruma::server_name!("b.test");
    let before = rig.rooms.own_leaves(&room, b).await.unwrap();
    assert_eq!(before.len(), 1);
    assert!(before[0].get().contains("a secret"));
    let leave: serde_json::Value = serde_json::from_str(before[0].get()).unwrap();
    let leave_id = rig.state_id(&room, "m.room.member", "@alice:home.test").await;
    let content = json!({ "redacts": leave_id });
    let pdu = rig.build(&room, (BOB, "m.room.redaction", None), content).await;
    let received = rig.rooms.receive(Verified::unchecked_for_tests(pdu)).await.unwrap();
    assert_eq!(received, Received::Accepted);
    let after = rig.rooms.own_leaves(&room, b).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(after[0].get()).unwrap();
    assert_eq!(told["content"], json!({ "membership": "leave" }));
    assert_eq!(told["hashes"], leave["hashes"]);
    assert_eq!(told["signatures"], leave["signatures"]);
}

/// Of whom a server was told that they are there, in order.
fn there(rig: &Rig, server: &str) -> Vec<String> {
    let edus = rig.wire.taken(server).into_iter().flat_map(|it| it.edus());
    let push = edus
        .filter(|(kind, _)| kind == "m.presence")
        .flat_map(|(_, content)| content["push"].as_array().unwrap().clone());
    push.filter(|user| user["presence"] == "online")
        .map(|user| user["user_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_server_that_newly_shares_a_room_is_told_at_once_who_is_there() {
    for slots in [1, 3] {
        let rig = Rig::new(slots).await;
        let alice = rig.account("alice").await;
        let dora = rig.account("dora").await;
        let join = |room: &ruma::RoomId| Join {
            room_id: room.to_owned(),
            reason: None,
            via: Vec::new(),
            proof: None,
        };
        let room = rig.open_room(&alice).await;
        rig.rooms.join(&dora, join(&room)).await.unwrap();
        let online = SetPresence {
            user_id: alice.user_id().to_owned(),
            state: Availability::Online,
            status: None,
        };
        rig.rooms.set_presence(&alice, online).await.unwrap();
        rig.settle().await;
        rig.join_from(&room, BOB).await;
        assert_eq!(there(&rig, "b.test"), ["@alice:home.test"], "dora is not");
        rig.join_from(&room, "@bea:b.test").await;
        assert_eq!(there(&rig, "b.test").len(), 1, "it knows already");

        let other = rig.open_room(&dora).await;
        rig.join_from(&other, BOB).await;
        rig.join_from(&other, EVE).await;
        assert_eq!(there(&rig, "e.test"), [""; 0], "alice is not in that room");
        rig.rooms.join(&alice, join(&other)).await.unwrap();
        rig.settle().await;
        assert_eq!(there(&rig, "e.test"), ["@alice:home.test"]);
        assert_eq!(there(&rig, "b.test").len(), 1);
    }
}
