//! Whose devices changed, and how many keys one's own has left.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedRoomId, UserId, device_id};
use serde_json::{Value, json};
use vestibule_accounts::list_change::device_changed;
use vestibule_keys::{ClaimKeys, UploadKeys};
use vestibule_rooms::{CreateRoom, InitialState, Preset};
use vestibule_storage::StorageError;
use vestibule_sync::{SyncError, SyncRequest};
use vestibule_types::Actor;

use crate::{
    support::{Answer, House},
    waiting::{parked, woken},
};

/// Something about somebody's devices changes.
async fn changes(house: &House, user: &UserId) {
    let (slot, user) = (house.store.slot_of_user(user), user.to_owned());
    let change = move |tx: &mut vestibule_storage::Tx<'_>| {
        device_changed(tx, &user, device_id!("TESTDEVICE"))
    };
    house.store.write::<_, StorageError, _>(slot, change).await.expect("stored");
}

fn listed(answer: &Answer, which: &str) -> Vec<String> {
    names(&answer.0["device_lists"][which])
}

fn names(list: &Value) -> Vec<String> {
    let users = list.as_array().expect("a list").iter();
    let localpart = |user: &Value| {
        let user = user.as_str().expect("a user id");
        UserId::parse(user).expect("a user id").localpart().to_owned()
    };
    users.map(localpart).collect()
}

fn changed(answer: &Answer) -> Vec<String> {
    listed(answer, "changed")
}

fn left(answer: &Answer) -> Vec<String> {
    listed(answer, "left")
}

async fn encrypted_room(house: &House, owner: &Actor) -> OwnedRoomId {
    let encryption = InitialState {
        event_type: "m.room.encryption".to_owned(),
        state_key: String::new(),
        content: serde_json::from_value(json!({ "algorithm": "m.megolm.v1.aes-sha2" }))
            .expect("JSON"),
    };
    let command = CreateRoom {
        preset: Some(Preset::PublicChat),
        initial_state: vec![encryption],
        ..CreateRoom::default()
    };
    house.room_with(owner, command).await
}

#[tokio::test]
async fn a_change_of_devices_is_told_to_oneself_and_to_those_one_shares_a_room_with() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let stranger = house.account("stranger").await;
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        house.room(&stranger).await;
        let tokens = [house.first(&alice).await, house.first(&bob).await];
        let strangers = house.first(&stranger).await;
        assert!(changed(&tokens[0]).is_empty(), "a client that begins asks for everybody");
        changes(&house, alice.user_id()).await;
        for (who, since) in [&alice, &bob].into_iter().zip(&tokens) {
            let answer = house.next(who, since).await;
            assert_eq!(changed(&answer), ["alice"]);
            assert!(changed(&house.next(who, &answer).await).is_empty(), "once");
        }
        assert!(changed(&house.next(&stranger, &strangers).await).is_empty());
    }
}

#[tokio::test]
async fn who_waits_is_woken_when_somebody_near_changes_devices() {
    for slots in [1, 3] {
        let house = Arc::new(House::new(slots));
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let stranger = house.account("stranger").await;
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        let first = house.first(&bob).await;
        let waiting = parked(&house, &bob, &first).await;
        changes(&house, stranger.user_id()).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "strangers do not matter");
        changes(&house, alice.user_id()).await;
        assert_eq!(changed(&woken(waiting).await), ["alice"]);
    }
}

#[tokio::test]
async fn who_comes_to_share_a_room_is_told_of_and_who_shares_none_any_more_too() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let one = encrypted_room(&house, &alice).await;
        let other = encrypted_room(&house, &alice).await;
        let (mine, theirs) = (house.first(&alice).await, house.first(&bob).await);
        house.join(&bob, &one).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        assert_eq!((changed(&mine), changed(&theirs)), (vec!["bob".into()], vec!["alice".into()]));
        assert!(left(&mine).is_empty() && left(&theirs).is_empty());

        house.join(&bob, &other).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        house.leave(&bob, &one).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        assert!(left(&mine).is_empty() && left(&theirs).is_empty(), "one room is still shared");

        house.leave(&bob, &other).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        assert_eq!((left(&mine), left(&theirs)), (vec!["bob".into()], vec!["alice".into()]));
        assert!(changed(&mine).is_empty() && changed(&theirs).is_empty());
        changes(&house, alice.user_id()).await;
        assert!(changed(&house.next(&bob, &theirs).await).is_empty(), "and nothing after that");
    }
}

#[tokio::test]
async fn who_went_before_one_went_oneself_is_followed_no_more() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let carol = house.account("carol").await;
        let room = encrypted_room(&house, &alice).await;
        house.join(&bob, &room).await;
        house.join(&carol, &room).await;
        let seen = house.first(&alice).await;
        house.leave(&bob, &room).await;
        house.leave(&alice, &room).await;
        let answer = house.next(&alice, &seen).await;
        assert_eq!(left(&answer), ["bob", "carol"]);
        assert!(changed(&answer).is_empty());
    }
}

#[tokio::test]
async fn a_change_while_no_room_was_shared_is_made_up_for() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = encrypted_room(&house, &alice).await;
    house.join(&bob, &room).await;
    let seen = house.first(&alice).await;
    house.leave(&bob, &room).await;
    let seen = house.next(&alice, &seen).await;
    changes(&house, bob.user_id()).await;
    let seen = house.next(&alice, &seen).await;
    assert!(changed(&seen).is_empty());
    house.join(&bob, &room).await;
    assert_eq!(changed(&house.next(&alice, &seen).await), ["bob"]);
}

#[tokio::test]
async fn coming_and_going_between_two_syncs_is_no_news() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = encrypted_room(&house, &alice).await;
    let seen = house.first(&alice).await;
    house.join(&bob, &room).await;
    house.leave(&bob, &room).await;
    let answer = house.next(&alice, &seen).await;
    assert!(changed(&answer).is_empty());
    assert!(left(&answer).is_empty());
}

#[tokio::test]
async fn who_went_and_came_back_between_two_syncs_is_asked_for_anew() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = encrypted_room(&house, &alice).await;
        house.join(&bob, &room).await;
        let (mine, theirs) = (house.first(&alice).await, house.first(&bob).await);
        house.leave(&bob, &room).await;
        house.join(&bob, &room).await;
        let renamed = json!({ "membership": "join", "displayname": "Bobby" });
        house.set(&bob, &room, ("m.room.member", bob.user_id().as_str()), renamed).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        assert_eq!((changed(&mine), changed(&theirs)), (vec!["bob".into()], vec!["alice".into()]));
        assert!(left(&mine).is_empty() && left(&theirs).is_empty());

        let renamed = json!({ "membership": "join", "displayname": "Rob" });
        house.set(&bob, &room, ("m.room.member", bob.user_id().as_str()), renamed).await;
        let (mine, theirs) = (house.next(&alice, &mine).await, house.next(&bob, &theirs).await);
        assert!(changed(&mine).is_empty() && changed(&theirs).is_empty(), "a name is no news");
    }
}

#[tokio::test]
async fn when_a_room_becomes_encrypted_its_members_are_told_of() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let seen = house.first(&bob).await;
    let content = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    house.set(&alice, &room, ("m.room.encryption", ""), content).await;
    assert_eq!(changed(&house.next(&bob, &seen).await), ["alice"]);
}

#[tokio::test]
async fn a_filter_that_hides_a_room_does_not_hide_whose_devices_changed() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = encrypted_room(&house, &alice).await;
    let filter = Some(json!({ "room": { "rooms": ["!other:home.test"] } }).to_string());
    let first = SyncRequest { filter: filter.clone(), ..SyncRequest::default() };
    let seen = house.sync(&alice, first).await;
    house.join(&bob, &room).await;
    let answer = house.sync(&alice, SyncRequest { filter, ..seen.then() }).await;
    assert_eq!(answer.rooms(), 0);
    assert_eq!(changed(&answer), ["bob"]);
}

#[tokio::test]
async fn changes_since_a_token_can_be_asked_for_alone() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let carol = house.account("carol").await;
        let room = encrypted_room(&house, &alice).await;
        house.join(&bob, &room).await;
        let seen = house.first(&alice).await;
        house.leave(&bob, &room).await;
        house.join(&carol, &room).await;
        changes(&house, alice.user_id()).await;
        let lists = house.sync.key_changes(&alice, &seen.token()).await.expect("an answer");
        let lists = serde_json::to_value(lists).expect("JSON");
        assert_eq!(names(&lists["changed"]), ["alice", "carol"]);
        assert_eq!(names(&lists["left"]), ["bob"]);
        let bad = house.sync.key_changes(&alice, "nonsense").await;
        assert!(matches!(bad, Err(SyncError::BadToken)));
    }
}

#[tokio::test]
async fn a_log_full_of_strangers_hides_nobody() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        let seen = house.first(&bob).await;
        for number in 0..5_100 {
            let user = UserId::parse(format!("@stranger{number}:far.test")).expect("a user id");
            changes(&house, &user).await;
        }
        changes(&house, alice.user_id()).await;
        assert_eq!(changed(&house.next(&bob, &seen).await), ["alice"]);
    }
}

fn some(names: &[&str]) -> BTreeMap<String, Box<serde_json::value::RawValue>> {
    let key = |name: &&str| {
        // Nobody knows the key it is signed with, so this cannot be checked.
        let signatures = json!({ "@alice:home.test": { "ed25519:TESTDEVICE": "made up" } });
        let key = json!({ "key": name, "signatures": signatures });
        let key = serde_json::value::to_raw_value(&key).expect("JSON");
        (format!("signed_curve25519:{name}"), key)
    };
    names.iter().map(key).collect()
}

#[tokio::test]
async fn a_device_is_told_how_many_keys_are_left_and_at_once_when_one_is_taken() {
    for slots in [1, 3] {
        let house = Arc::new(House::new(slots));
        let keys = &house.keys;
        let alice = house.account("alice").await;
        let first = house.first(&alice).await;
        assert_eq!(first.0["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
        assert_eq!(first.0["device_unused_fallback_key_types"], json!([]));
        let upload = UploadKeys {
            one_time_keys: some(&["A", "B"]),
            fallback_keys: some(&["F"]),
            ..UploadKeys::default()
        };
        keys.upload_keys(&alice, upload).await.expect("stored");
        let full = house.next(&alice, &first).await;
        assert_eq!(full.0["device_one_time_keys_count"], json!({ "signed_curve25519": 2 }));
        assert_eq!(full.0["device_unused_fallback_key_types"], json!(["signed_curve25519"]));

        let waiting = parked(&house, &alice, &full).await;
        let claim = || ClaimKeys {
            one_time_keys: [(
                alice.user_id().to_owned(),
                [(device_id!("TESTDEVICE").to_owned(), "signed_curve25519".to_owned())].into(),
            )]
            .into(),
            timeout: None,
        };
        keys.claim_keys(&alice, claim()).await.expect("claimed");
        let told = woken(waiting).await;
        assert_eq!(told.0["device_one_time_keys_count"], json!({ "signed_curve25519": 1 }));
        keys.claim_keys(&alice, claim()).await.expect("claimed");
        keys.claim_keys(&alice, claim()).await.expect("claimed");
        let told = house.next(&alice, &told).await;
        assert_eq!(told.0["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
        assert_eq!(told.0["device_unused_fallback_key_types"], json!([]), "it was lent");
    }
}
