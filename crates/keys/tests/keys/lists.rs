//! Device lists of users of other servers, and what other servers are told of ours.

use std::time::Duration;

use ruma::{OwnedDeviceId, OwnedUserId, ServerName, UserId};
use serde_json::{Value, json};
use vestibule_keys::{ReceiveUpdateError, RemoteKeysError};
use vestibule_storage::{
    StorageError,
    tables::sender::{EDU_OUT, EDU_OUT_COUNT},
};
use vestibule_types::{ClassName, limits::EDUS_WAITING_MAX};

use crate::support::{CrossSigning, House, Key, Person, RemoteList, raw, value};

fn far() -> OwnedUserId {
    "@zoe:far.test".try_into().expect("a user id")
}

/// Identity keys of a device of a user of another server.
fn identity(user: &UserId, device: &str) -> Value {
    let key = Key::new(device);
    let mut object = json!({
        "user_id": user,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { format!("ed25519:{device}"): key.public() },
    });
    key.sign(&mut object, user, device);
    object
}

fn list(version: u64, devices: &[&str]) -> RemoteList {
    let device = |it: &&str| (OwnedDeviceId::from(*it), identity(&far(), it));
    RemoteList { version, devices: devices.iter().map(device).collect(), ..Default::default() }
}

fn update(version: u64, before: &[u64], device: &str) -> Value {
    json!({
        "user_id": far(), "device_id": device, "stream_id": version, "prev_id": before,
        "keys": identity(&far(), device),
    })
}

async fn receive(house: &House, content: &Value) -> Result<(), ReceiveUpdateError> {
    let origin = ServerName::parse("far.test").expect("a name");
    house.keys.receive_device_list_update(&origin, &raw(content)).await
}

async fn devices(house: &House, who: &Person) -> Vec<String> {
    let shown = house.query(who, &[&far()]).await.keys;
    let devices = shown.device_keys.get(&far()).into_iter().flatten();
    devices.map(|(device, _)| device.to_string()).collect()
}

/// A house where bob shares a room with zoe of another server, who has one device.
async fn shared(slots: u16) -> (House, Person) {
    let house = House::new(slots);
    let bob = house.member("bob", "PHONE").await;
    let room = house.room(&bob).await;
    house.place(&far(), &room).await;
    house.elsewhere.lists.lock().insert(far(), list(5, &["ONE"]));
    (house, bob)
}

/// Lets background work run until a condition holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}

#[tokio::test]
async fn a_list_is_fetched_once_while_a_room_is_shared() {
    for slots in [1, 3] {
        let (house, bob) = shared(slots).await;
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
        assert_eq!(house.elsewhere.asked(), ["devices @zoe:far.test"]);
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
        assert!(house.elsewhere.asked().is_empty(), "the copy is good as long as updates come");
        *house.elsewhere.unreachable.lock() = true;
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
    }
}

#[tokio::test]
async fn strangers_are_asked_for_every_time() {
    let house = House::new(1);
    let bob = house.member("bob", "PHONE").await;
    house.elsewhere.lists.lock().insert(far(), list(5, &["ONE"]));
    for _ in 0..2 {
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
        assert_eq!(house.elsewhere.asked(), ["query far.test"]);
    }
    *house.elsewhere.unreachable.lock() = true;
    let queried = house.query(&bob, &[&far()]).await;
    assert!(queried.keys.device_keys.is_empty());
    assert_eq!(queried.failures[far().server_name()], RemoteKeysError::Unreachable);
}

#[tokio::test]
async fn updates_in_a_row_are_applied_without_asking() {
    for slots in [1, 3] {
        let (house, bob) = shared(slots).await;
        devices(&house, &bob).await;
        house.elsewhere.asked();
        let before = house.told(&far()).await;
        receive(&house, &update(6, &[5], "TWO")).await.unwrap();
        receive(&house, &update(7, &[6], "THREE")).await.unwrap();
        assert_eq!(devices(&house, &bob).await, ["ONE", "THREE", "TWO"]);
        assert!(house.told(&far()).await > before, "clients are told");
        let gone = json!({
            "user_id": far(), "device_id": "ONE", "stream_id": 8, "prev_id": [7], "deleted": true,
        });
        receive(&house, &gone).await.unwrap();
        assert_eq!(devices(&house, &bob).await, ["THREE", "TWO"]);
        let told = house.told(&far()).await;
        receive(&house, &gone).await.unwrap();
        assert_eq!(house.told(&far()).await, told, "the same update again is no news");
        assert!(house.elsewhere.asked().is_empty());
    }
}

#[tokio::test]
async fn a_missed_update_makes_the_list_be_fetched_anew() {
    for slots in [1, 3] {
        let (house, bob) = shared(slots).await;
        devices(&house, &bob).await;
        house.elsewhere.asked();
        house.elsewhere.lists.lock().insert(far(), list(9, &["FOUR", "ONE"]));
        receive(&house, &update(9, &[8], "FOUR")).await.unwrap();
        // Nobody asks, yet it is fetched.
        until(async || house.elsewhere.asked.lock().len() == 1).await;
        until(async || devices(&house, &bob).await == ["FOUR", "ONE"]).await;
        assert_eq!(house.elsewhere.asked(), ["devices @zoe:far.test"]);
        receive(&house, &update(10, &[9], "FIVE")).await.unwrap();
        assert_eq!(devices(&house, &bob).await, ["FIVE", "FOUR", "ONE"], "and goes on from there");
        assert!(house.elsewhere.asked().is_empty());
    }
}

#[tokio::test]
async fn a_list_that_could_not_be_fetched_anew_is_not_shown_as_good() {
    let (house, bob) = shared(1).await;
    devices(&house, &bob).await;
    *house.elsewhere.unreachable.lock() = true;
    receive(&house, &update(9, &[8], "FOUR")).await.unwrap();
    let queried = house.query(&bob, &[&far()]).await;
    assert_eq!(queried.failures[far().server_name()], RemoteKeysError::Unreachable);
    assert!(queried.keys.device_keys.is_empty());
    *house.elsewhere.unreachable.lock() = false;
    house.elsewhere.lists.lock().insert(far(), list(9, &["FOUR"]));
    house.test.clock.advance(Duration::from_mins(20));
    until(async || devices(&house, &bob).await == ["FOUR"]).await;
}

#[tokio::test]
async fn a_server_speaks_for_its_own_users_only() {
    let (house, bob) = shared(1).await;
    devices(&house, &bob).await;
    let told = house.told(&far()).await;
    for user in ["@zoe:other.test", "@bob:home.test"] {
        let mut content = update(6, &[5], "EVIL");
        content["user_id"] = user.into();
        let refused = receive(&house, &content).await;
        assert!(matches!(refused, Err(ReceiveUpdateError::NotTheirs)), "{user}: {refused:?}");
    }
    for malformed in [json!({}), json!([]), json!({ "user_id": "zoe" }), json!(7)] {
        let refused = receive(&house, &malformed).await;
        assert!(matches!(refused, Err(ReceiveUpdateError::Malformed(_))), "{malformed}");
    }
    assert_eq!(house.told(&far()).await, told);
    assert_eq!(devices(&house, &bob).await, ["ONE"]);
}

#[tokio::test]
async fn keys_of_somebody_else_in_an_update_are_not_taken() {
    let (house, bob) = shared(1).await;
    devices(&house, &bob).await;
    let mut content = update(6, &[5], "TWO");
    content["keys"]["user_id"] = "@bob:home.test".into();
    receive(&house, &content).await.unwrap();
    until(async || !house.elsewhere.asked().is_empty()).await;
    until(async || devices(&house, &bob).await == ["ONE"]).await;
}

#[tokio::test]
async fn updates_of_people_no_room_is_shared_with_are_passed_over() {
    let house = House::new(1);
    receive(&house, &update(6, &[5], "TWO")).await.unwrap();
    assert_eq!(house.told(&far()).await, None);
}

/// Somebody elsewhere with a master key and a self-signing key that were looked up here.
async fn shared_and_signed() -> (House, Person, CrossSigning, RemoteList) {
    let (house, bob) = shared(3).await;
    let first = CrossSigning::new(&far(), "first");
    let mut known = list(5, &["ONE"]);
    known.master = Some(first.master_key());
    known.own = Some(first.object("self_signing", &first.own));
    house.elsewhere.lists.lock().insert(far(), known.clone());
    devices(&house, &bob).await;
    (house, bob, first, known)
}

#[tokio::test]
async fn cross_signing_keys_of_others_are_kept_and_updated_when_they_are_signed() {
    let (house, bob, first, _) = shared_and_signed().await;
    let second = CrossSigning::new(&far(), "second");
    let origin = ServerName::parse("far.test").unwrap();
    let content = json!({
        "user_id": far(),
        "master_key": second.master_key(),
        "self_signing_key": second.object("self_signing", &second.own),
    });
    house.keys.receive_signing_key_update(&origin, &raw(&content)).await.unwrap();
    let shown = house.query(&bob, &[&far()]).await.keys;
    assert_eq!(value(&shown.master_keys[&far()]), second.master_key());

    // One that its master key did not sign is not taken; the list is fetched instead.
    house.elsewhere.asked();
    let forged = json!({
        "user_id": far(),
        "master_key": second.master_key(),
        "self_signing_key": first.object("self_signing", &first.own),
    });
    house.keys.receive_signing_key_update(&origin, &raw(&forged)).await.unwrap();
    until(async || !house.elsewhere.asked.lock().is_empty()).await;
    let shown = house.query(&bob, &[&far()]).await.keys;
    assert_eq!(value(&shown.master_keys[&far()]), first.master_key(), "as its server tells it");
}

#[tokio::test]
async fn the_own_signature_on_a_remote_master_key_is_shown_to_its_maker() {
    let (house, bob) = shared(3).await;
    let theirs = CrossSigning::new(&far(), "theirs");
    let mut known = list(5, &["ONE"]);
    known.master = Some(theirs.master_key());
    house.elsewhere.lists.lock().insert(far(), known);
    devices(&house, &bob).await;
    let own = CrossSigning::new(&bob.user, "bob");
    own.store(&house, &bob).await.unwrap();
    let mut signed = theirs.master_key();
    own.others.sign(&mut signed, &bob.user, &own.others.public());
    let keys = [(far(), [(theirs.master.public(), raw(&signed))].into())].into();
    let failures = house.keys.upload_signatures(&bob.actor, keys).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    let shown = house.query(&bob, &[&far()]).await.keys;
    assert_eq!(value(&shown.master_keys[&far()]), signed);
}

/// The messages that wait for a server: their types and contents.
async fn waiting(house: &House, server: &str) -> Vec<(String, Value)> {
    let server = ServerName::parse(server).expect("a name");
    house
        .store
        .read::<_, StorageError, _>(move |read| {
            let mut rows = EDU_OUT.scan(read, (&server,), 100)?;
            rows.sort_by_key(|((_, _, stamp), _)| *stamp);
            let edus = rows
                .into_iter()
                .map(|(_, edu)| (edu.edu_type, serde_json::from_str(&edu.content).expect("JSON")));
            Ok(edus.collect())
        })
        .await
        .expect("read")
}

#[tokio::test]
async fn a_server_for_which_too_much_waits_still_gets_the_newest_of_each_list() {
    let (house, bob) = shared(1).await;
    let slot = house.store.slot_of_user(&bob.user);
    let full = house.store.write::<_, StorageError, _>(slot, |tx| {
        let most = i64::try_from(EDUS_WAITING_MAX).expect("small");
        EDU_OUT_COUNT.add(tx, (ruma::server_name!("far.test"),), most)
    });
    full.await.unwrap();
    house.keys.start();
    bob.introduce(&house).await;
    for name in ["one", "two"] {
        let name = Some(name.to_owned());
        house.accounts.update_device(&bob.actor, &bob.device, name).await.unwrap();
    }
    until(async || {
        waiting(&house, "far.test").await.last().is_some_and(|(_, edu)| edu["stream_id"] == 3)
    })
    .await;
    let edus = waiting(&house, "far.test").await;
    let [(kind, newest)] = &edus[..] else { panic!("the newest alone: {edus:?}") };
    assert_eq!(kind, "m.device_list_update");
    assert_eq!((&newest["stream_id"], &newest["prev_id"]), (&json!(3), &json!([2])));
    assert_eq!(newest["device_display_name"], "two");
}

#[tokio::test]
async fn other_servers_in_a_room_are_told_of_every_change_in_its_order() {
    for slots in [1, 3] {
        let (house, bob) = shared(slots).await;
        house.keys.start();
        bob.introduce(&house).await;
        let name = Some("another name".to_owned());
        house.accounts.update_device(&bob.actor, &bob.device, name).await.unwrap();
        let keys = CrossSigning::new(&bob.user, "bob");
        keys.store(&house, &bob).await.unwrap();
        house.accounts.log_out(&bob.actor).await.unwrap();
        until(async || waiting(&house, "far.test").await.len() == 4).await;
        let edus = waiting(&house, "far.test").await;
        let kinds: Vec<&str> = edus.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "m.device_list_update",
                "m.device_list_update",
                "m.signing_key_update",
                "m.device_list_update",
            ]
        );
        let ids: Vec<(&Value, &Value)> =
            [0, 1, 3].map(|at| (&edus[at].1["stream_id"], &edus[at].1["prev_id"])).into();
        let expected = [(json!(1), json!([])), (json!(2), json!([1])), (json!(3), json!([2]))];
        assert_eq!(ids, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
        assert_eq!(edus[3].1["deleted"], true);
        assert_eq!(edus[2].1["master_key"], keys.master_key());
        assert_eq!(edus[2].1.get("user_signing_key"), None);
        let list = house.keys.device_list(&bob.user).await.unwrap().unwrap();
        assert_eq!((list.stream_id, list.devices.len()), (3, 0));
    }
}

#[tokio::test]
async fn a_server_that_comes_to_share_a_room_is_told_then() {
    let house = House::new(3);
    let bob = house.member("bob", "PHONE").await;
    let carol = house.member("carol", "DESK").await;
    bob.introduce(&house).await;
    house.keys.start();
    let room = house.room(&carol).await;
    house.place(&far(), &room).await;
    tokio::task::yield_now().await;
    assert!(waiting(&house, "far.test").await.is_empty());
    house.join(&bob, &room).await;
    until(async || waiting(&house, "far.test").await.len() == 1).await;
    let edus = waiting(&house, "far.test").await;
    assert_eq!(edus[0].1["user_id"], bob.user.as_str());
    assert_eq!(edus[0].1["keys"], bob.identity());
    // The second room with the same server is no news to it.
    let other = house.room(&carol).await;
    house.place(&far(), &other).await;
    house.join(&bob, &other).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting(&house, "far.test").await.len(), 1);
}

#[tokio::test]
async fn what_other_servers_are_shown_is_the_list_with_its_version() {
    let house = House::new(1);
    let bob = house.member("bob", "PHONE").await;
    bob.introduce(&house).await;
    let second = house.device(&bob.user, "TABLET", ClassName::member()).await;
    second.introduce(&house).await;
    let list = house.keys.device_list(&bob.user).await.unwrap().unwrap();
    assert_eq!(list.stream_id, 2);
    let ids: Vec<&str> = list.devices.iter().map(|device| device.device_id.as_str()).collect();
    assert_eq!(ids, ["PHONE", "TABLET"]);
    assert_eq!(value(&list.devices[0].keys), bob.identity());
    assert_eq!(list.devices[0].display_name.as_deref(), Some("PHONE's name"));
    assert!(house.keys.device_list(&crate::support::user("nobody")).await.unwrap().is_none());
    assert!(house.keys.device_list(&far()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_copy_is_forgotten_when_the_last_shared_room_is_left() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let bob = house.member("bob", "PHONE").await;
        let room = house.room(&bob).await;
        house.place(&far(), &room).await;
        house.elsewhere.lists.lock().insert(far(), list(5, &["ONE"]));
        house.keys.start();
        devices(&house, &bob).await;
        house.elsewhere.asked();
        house.leave(&bob, &room).await;
        // Updates do not come any more, so whoever asks is told what their server says now.
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
        assert_eq!(house.elsewhere.asked(), ["query far.test"]);
    }
}

#[tokio::test]
async fn who_comes_back_is_not_trusted_to_have_the_same_devices_and_clients_are_told() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let bob = house.member("bob", "PHONE").await;
        let room = house.room(&bob).await;
        house.place(&far(), &room).await;
        house.elsewhere.lists.lock().insert(far(), list(5, &["ONE"]));
        assert_eq!(devices(&house, &bob).await, ["ONE"]);
        house.elsewhere.asked();
        house.elsewhere.lists.lock().insert(far(), list(9, &["TWO"]));
        let told = house.told(&far()).await;
        house.keys.start();
        house.came_in(&far(), &room).await;
        until(async || house.told(&far()).await > told).await;
        assert_eq!(devices(&house, &bob).await, ["TWO"]);
    }
}

#[tokio::test]
async fn of_the_signatures_another_server_tells_only_those_that_hold_are_kept() {
    for slots in [1, 3] {
        let (house, bob) = shared(slots).await;
        let signing = CrossSigning::new(&far(), "first");
        let (mut one, mut master) = (identity(&far(), "ONE"), signing.master_key());
        signing.own.sign(&mut one, &far(), &signing.own.public());
        Key::new("ONE").sign(&mut master, &far(), "ONE");
        let good = (one["signatures"].clone(), master["signatures"].clone());
        for (object, name) in [(&mut one, "ed25519:OTHER"), (&mut master, "ed25519:TWO")] {
            object["signatures"][far().as_str()][name] = "made up".into();
        }
        one["signatures"][far().as_str()]["rsa:ONE"] = "made up".into();
        let devices = vec![(OwnedDeviceId::from("ONE"), one.clone())];
        let known = RemoteList {
            version: 5,
            devices,
            master: Some(master),
            own: Some(signing.object("self_signing", &signing.own)),
        };
        house.elsewhere.lists.lock().insert(far(), known);
        let signatures = async || {
            let shown = house.query(&bob, &[&far()]).await.keys;
            let device = value(&shown.device_keys[&far()][&OwnedDeviceId::from("ONE")]);
            (device["signatures"].clone(), value(&shown.master_keys[&far()])["signatures"].clone())
        };
        assert_eq!(signatures().await, good);
        // An update that is signed by a key nobody told of is checked against the whole list.
        house.elsewhere.asked();
        let mut content = update(6, &[5], "ONE");
        content["keys"] = one;
        receive(&house, &content).await.unwrap();
        until(async || !house.elsewhere.asked.lock().is_empty()).await;
        assert_eq!(signatures().await, good);
    }
}

#[tokio::test]
async fn a_new_master_key_leaves_no_key_behind_that_it_did_not_sign() {
    let (house, bob, _, mut known) = shared_and_signed().await;
    let second = CrossSigning::new(&far(), "second");
    known.master = Some(second.master_key());
    known.own = None;
    house.elsewhere.lists.lock().insert(far(), known);
    let content = json!({ "user_id": far(), "master_key": second.master_key() });
    let origin = ServerName::parse("far.test").unwrap();
    house.keys.receive_signing_key_update(&origin, &raw(&content)).await.unwrap();
    let shown = house.query(&bob, &[&far()]).await.keys;
    assert_eq!(value(&shown.master_keys[&far()]), second.master_key());
    assert!(shown.self_signing_keys.is_empty());
}
