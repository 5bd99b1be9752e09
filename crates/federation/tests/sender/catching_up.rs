//! Servers out of reach, and servers of ours that die.

use std::time::Duration;

use ruma::server_name;

use crate::rig::{Rig, Transaction};

const BOB: &str = "@bob:b.test";

#[tokio::test]
async fn a_dead_server_is_not_asked_per_event_and_gets_everything_when_it_is_back() {
    for slots in [1, 3] {
        let rig = Rig::new(slots).await;
        let alice = rig.account("alice").await;
        let (room, other) = (rig.open_room(&alice).await, rig.open_room(&alice).await);
        rig.join_from(&room, BOB).await;
        rig.join_from(&other, BOB).await;
        rig.wire.cut("b.test");
        rig.say(&alice, &room, "0").await;
        rig.settle().await;
        let before = rig.commits();
        for number in 1..120 {
            rig.say(&alice, if number % 2 == 0 { &room } else { &other }, &number.to_string())
                .await;
        }
        rig.settle().await;
        assert_eq!(rig.wire.tried("b.test").len(), 1);
        assert_eq!(rig.commits() - before, 119, "nothing is written for it either");

        rig.wire.mend("b.test");
        rig.remote.heard_from(server_name!("b.test")).await;
        rig.settle().await;
        let texts = rig.wire.texts("b.test");
        let of = |odd: u32| -> Vec<u32> {
            let numbers = texts.iter().map(|text| text.parse::<u32>().unwrap());
            numbers.filter(|number| number % 2 == odd).collect()
        };
        assert_eq!(of(0), (0..120).step_by(2).collect::<Vec<_>>(), "in order, each once");
        assert_eq!(of(1), (1..120).step_by(2).collect::<Vec<_>>());

        rig.say(&alice, &room, "live").await;
        rig.settle().await;
        assert_eq!(rig.wire.texts("b.test").last().unwrap(), "live");
        rig.pass(Duration::from_secs(6)).await;
        assert_eq!(rig.rows().await, 0);
    }
}

#[tokio::test]
async fn a_server_that_is_back_is_found_when_its_back_off_ends() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.cut("b.test");
    rig.say(&alice, &room, "one").await;
    rig.settle().await;
    rig.say(&alice, &room, "two").await;
    rig.wire.mend("b.test");
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), [""; 0]);
    rig.pass(Duration::from_secs(10)).await;
    assert_eq!(rig.wire.texts("b.test"), ["one", "two"]);
}

#[tokio::test]
async fn a_crash_with_a_transaction_under_way_sends_it_again_and_loses_nothing() {
    for slots in [1, 3] {
        let rig = Rig::new(slots).await;
        let alice = rig.account("alice").await;
        let room = rig.open_room(&alice).await;
        rig.join_from(&room, BOB).await;
        rig.wire.silence("b.test");
        rig.say(&alice, &room, "one").await;
        rig.settle().await;
        rig.say(&alice, &room, "two").await;
        rig.settle().await;
        rig.wire.mend("b.test");
        let rig = rig.crash().await;
        rig.say(&alice, &room, "three").await;
        rig.pass(Duration::from_mins(1)).await;
        let tried = rig.wire.tried("b.test");
        assert_eq!(tried[0], tried[1], "the same content under the same id");
        assert_eq!(rig.wire.texts("b.test"), ["one", "one", "two", "three"]);
    }
}

#[tokio::test]
async fn a_crash_right_after_an_event_loses_nothing() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.pass(Duration::from_mins(1)).await;
    rig.test.spawner.stop();
    rig.settle().await;
    rig.say(&alice, &room, "nobody was there to send it").await;
    let rig = rig.crash().await;
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), ["nobody was there to send it"]);
}

#[tokio::test]
async fn a_server_that_missed_very_much_gets_the_newest() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.cut("b.test");
    rig.say(&alice, &room, "first").await;
    rig.settle().await;
    for number in 0..520 {
        rig.say(&alice, &room, &number.to_string()).await;
    }
    rig.wire.mend("b.test");
    rig.remote.heard_from(server_name!("b.test")).await;
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), ["first", "519"]);
}

#[tokio::test]
async fn a_server_removed_while_it_was_out_of_reach_learns_that() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.cut("b.test");
    rig.say(&alice, &room, "one").await;
    rig.settle().await;
    rig.say(&alice, &room, "two").await;
    let kick = vestibule_rooms::ChangeMember {
        room_id: room.clone(),
        user_id: BOB.try_into().unwrap(),
        reason: None,
    };
    rig.rooms.kick(&alice, kick).await.unwrap();
    rig.say(&alice, &room, "not for them").await;
    rig.wire.mend("b.test");
    rig.remote.heard_from(server_name!("b.test")).await;
    rig.settle().await;
    assert_eq!(rig.wire.texts("b.test"), ["one", "two", "m.room.member"]);
}

#[tokio::test]
async fn a_transaction_that_is_refused_again_and_again_does_not_block_the_others() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    let room = rig.open_room(&alice).await;
    rig.join_from(&room, BOB).await;
    rig.wire.refuse("b.test", 400);
    rig.say(&alice, &room, "poison").await;
    rig.settle().await;
    rig.say(&alice, &room, "wholesome").await;
    rig.pass(Duration::from_secs(200)).await;
    rig.wire.mend("b.test");
    rig.pass(Duration::from_mins(10)).await;
    let tried: Vec<_> = rig.wire.tried("b.test").iter().map(Transaction::texts).collect();
    assert_eq!(rig.wire.texts("b.test").last().unwrap(), "wholesome", "{tried:?}");
}
