//! Devices tell who they are.

use std::collections::BTreeMap;

use serde_json::json;
use vestibule_keys::{ObjectError, UploadKeys, UploadKeysError};
use vestibule_types::ClassName;

use crate::support::{House, Person, raw, value};

#[tokio::test]
async fn identity_keys_are_shown_as_they_were_uploaded_with_the_name_of_the_device() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.member("alice", "LAPTOP").await;
        let bob = house.member("bob", "PHONE").await;
        alice.introduce(&house).await;
        let shown = house.query(&bob, &[&alice.user]).await.keys;
        let mut keys = value(&shown.device_keys[&alice.user][&alice.device]);
        assert_eq!(keys["unsigned"]["device_display_name"], "LAPTOP's name");
        keys.as_object_mut().unwrap().remove("unsigned");
        assert_eq!(keys, alice.identity());
    }
}

#[tokio::test]
async fn a_user_without_keys_is_shown_without_devices_and_a_stranger_not_at_all() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let nobody = crate::support::user("nobody");
    let shown = house.query(&alice, &[&alice.user, &nobody]).await;
    assert!(shown.keys.device_keys[&alice.user].is_empty());
    assert!(!shown.keys.device_keys.contains_key(&nobody));
    assert!(shown.failures.is_empty());
}

#[tokio::test]
async fn keys_of_somebody_else_are_refused() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let other = house.device(&alice.user, "OTHER", ClassName::member()).await;
    let bob = house.member("bob", "LAPTOP").await;
    for wrong in [other.identity(), bob.identity()] {
        let command = UploadKeys { device_keys: Some(raw(&wrong)), ..Default::default() };
        let refused = alice.upload(&house, command).await;
        assert!(
            matches!(refused, Err(UploadKeysError::Object(ObjectError::NotOwn))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_forged_signature_is_left_out_of_the_keys_it_came_with() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    let mut forged = alice.identity();
    bob.key.sign(&mut forged, &alice.user, "LAPTOP");
    let mut changed = alice.identity();
    changed["algorithms"] = json!(["m.other"]);
    for wrong in [forged, changed] {
        let command = UploadKeys { device_keys: Some(raw(&wrong)), ..Default::default() };
        alice.upload(&house, command).await.unwrap();
        let shown = house.query(&bob, &[&alice.user]).await.keys;
        let shown = value(&shown.device_keys[&alice.user][&alice.device]);
        assert_eq!(shown["signatures"], json!({}), "whoever reads it sees that nobody signed it");
        assert_eq!(shown["algorithms"], wrong["algorithms"]);
    }
    alice.introduce(&house).await;
    let shown = house.query(&bob, &[&alice.user]).await.keys;
    let shown = value(&shown.device_keys[&alice.user][&alice.device]);
    assert_eq!(shown["signatures"], alice.identity()["signatures"], "the true one comes later");
}

#[tokio::test]
async fn of_the_signatures_on_a_device_only_its_own_comes_along() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    let mut identity = alice.identity();
    bob.key.sign(&mut identity, &bob.user, "PHONE");
    for made_up in ["ed25519:unknown", "rsa:LAPTOP"] {
        identity["signatures"][alice.user.as_str()][made_up] = "made up".into();
    }
    let command = UploadKeys { device_keys: Some(raw(&identity)), ..Default::default() };
    alice.upload(&house, command).await.unwrap();
    let shown = house.query(&bob, &[&alice.user]).await.keys;
    let shown = value(&shown.device_keys[&alice.user][&alice.device]);
    assert_eq!(shown["signatures"], alice.identity()["signatures"]);
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let without = |field: &str| {
        let mut object = alice.identity();
        object.as_object_mut().unwrap().remove(field);
        object
    };
    let with = |field: &str, to: serde_json::Value| {
        let mut object = alice.identity();
        object[field] = to;
        object
    };
    let table = [
        json!([]),
        json!("text"),
        with("algorithms", json!([1])),
        with("keys", json!({ "ed25519:LAPTOP": {} })),
        with("signatures", json!([])),
        with("more", json!(1.5)),
        with("more", json!("x".repeat(20_000))),
    ];
    for wrong in table {
        let command = UploadKeys { device_keys: Some(raw(&wrong)), ..Default::default() };
        let refused = alice.upload(&house, command).await;
        let expected = matches!(refused, Err(UploadKeysError::Object(ObjectError::Malformed(_))));
        assert!(expected, "{wrong}: {refused:?}");
    }
    for field in ["user_id", "device_id", "algorithms", "keys", "signatures"] {
        let command = UploadKeys { device_keys: Some(raw(&without(field))), ..Default::default() };
        let refused = alice.upload(&house, command).await;
        let expected = matches!(refused, Err(UploadKeysError::Object(ObjectError::Missing(it))) if it == field);
        assert!(expected, "{field}: {refused:?}");
    }
}

#[tokio::test]
async fn the_same_upload_again_changes_nothing_and_tells_nobody() {
    let house = House::new(3);
    let alice = house.member("alice", "LAPTOP").await;
    alice.introduce(&house).await;
    assert_eq!(alice.leave_keys(&house, &["AA", "AB"]).await["signed_curve25519"], 2);
    let told = house.told(&alice.user).await;
    assert!(told.is_some());
    alice.introduce(&house).await;
    assert_eq!(alice.leave_keys(&house, &["AA", "AB"]).await["signed_curve25519"], 2);
    assert_eq!(house.told(&alice.user).await, told);
}

#[tokio::test]
async fn another_key_under_a_name_that_is_taken_is_refused_with_all_that_came_along() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    let keys = BTreeMap::from([
        ("signed_curve25519:AA".to_owned(), raw(&alice.one_time_key("another"))),
        ("signed_curve25519:AZ".to_owned(), raw(&alice.one_time_key("new"))),
    ]);
    let command = UploadKeys { one_time_keys: keys, ..Default::default() };
    let refused = alice.upload(&house, command).await;
    assert!(
        matches!(refused, Err(UploadKeysError::Conflict(name)) if name == "signed_curve25519:AA")
    );
    let counts = house.keys.one_time_key_counts(&alice.user, &alice.device).await.unwrap();
    assert_eq!(counts["signed_curve25519"], 1);
}

#[tokio::test]
async fn the_same_key_with_another_signature_is_the_same_key_also_when_it_was_given_out() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    let mut again = alice.one_time_key("key AA");
    again["signatures"][alice.user.as_str()]["ed25519:OTHER"] = "more".into();
    let again = || {
        let keys = BTreeMap::from([("signed_curve25519:AA".to_owned(), raw(&again))]);
        UploadKeys { one_time_keys: keys, ..Default::default() }
    };
    assert_eq!(alice.upload(&house, again()).await.unwrap()["signed_curve25519"], 1);
    let (_, given) = crate::claims::claim(&house, &bob, &alice).await.unwrap();
    assert_eq!(given, alice.one_time_key("key AA"), "the first one stays");
    let left = alice.upload(&house, again()).await.unwrap();
    assert_eq!(left.get("signed_curve25519").copied().unwrap_or_default(), 0);
    assert_eq!(crate::claims::claim(&house, &bob, &alice).await, None);
}

#[tokio::test]
async fn a_device_may_keep_so_many_keys_and_no_more() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let upload = |from: usize, to: usize| {
        let keys = (from..to).map(|number| (format!("plain:{number}"), raw(&json!("k"))));
        UploadKeys { one_time_keys: keys.collect(), ..Default::default() }
    };
    assert_eq!(alice.upload(&house, upload(0, 999)).await.unwrap()["plain"], 999);
    let refused = alice.upload(&house, upload(999, 1_001)).await;
    assert!(matches!(refused, Err(UploadKeysError::TooMany)));
    assert_eq!(alice.upload(&house, upload(999, 1_000)).await.unwrap()["plain"], 1_000);
}

#[tokio::test]
async fn keys_go_with_the_device_they_belong_to() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.member("alice", "LAPTOP").await;
        let bob = house.member("bob", "PHONE").await;
        alice.introduce(&house).await;
        alice.leave_keys(&house, &["AA"]).await;
        alice.leave_fallback(&house, "F").await;
        let before = house.told(&alice.user).await;
        house.accounts.log_out(&alice.actor).await.unwrap();
        assert!(house.query(&bob, &[&alice.user]).await.keys.device_keys[&alice.user].is_empty());
        let claimed = crate::claims::claim(&house, &bob, &alice).await;
        assert_eq!(claimed, None);
        assert!(house.told(&alice.user).await > before, "everybody concerned is told");
        let late = alice.upload(&house, UploadKeys::default()).await;
        assert!(
            matches!(late, Err(UploadKeysError::NoDevice)),
            "a device that is gone leaves none"
        );
    }
}

#[tokio::test]
async fn forged_keys_are_given_out_unsigned_and_those_of_another_identity_not_at_all() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.member("alice", "LAPTOP").await;
        let bob = house.member("bob", "PHONE").await;
        let mut forged = json!({ "key": "a" });
        bob.key.sign(&mut forged, &alice.user, "LAPTOP");
        let upload = async |name: &str| {
            let keys = || BTreeMap::from([(format!("signed_curve25519:{name}"), raw(&forged))]);
            let (one_time_keys, fallback_keys) = (keys(), keys());
            let command = UploadKeys { one_time_keys, fallback_keys, device_keys: None };
            alice.upload(&house, command).await.unwrap();
        };
        let unsigned = json!({ "key": "a", "signatures": {} });
        // Before the identity that tells, and after it.
        upload("AA").await;
        alice.introduce(&house).await;
        upload("AB").await;
        for name in ["AA", "AB", "AB"] {
            let (id, key) = crate::claims::claim(&house, &bob, &alice).await.unwrap();
            assert_eq!((id, key), (format!("signed_curve25519:{name}"), unsigned.clone()));
        }

        upload("AC").await;
        alice.leave_keys(&house, &["AD"]).await;
        let other = Person { key: bob.key.clone(), ..alice.clone() };
        other.introduce(&house).await;
        assert_eq!(crate::claims::claim(&house, &bob, &alice).await, None);
        let left = house.keys.one_time_key_counts(&alice.user, &alice.device).await.unwrap();
        assert_eq!(left.get("signed_curve25519").copied().unwrap_or_default(), 0);
    }
}

#[tokio::test]
async fn fallback_keys_of_so_many_algorithms_and_no_more_are_kept() {
    use vestibule_types::limits::KEY_ALGORITHMS_MAX;
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    for number in 0..=KEY_ALGORITHMS_MAX {
        let key = (format!("alg{number}:AA"), raw(&json!("key")));
        let command = UploadKeys { fallback_keys: BTreeMap::from([key]), ..Default::default() };
        let stored = alice.upload(&house, command).await;
        assert_eq!(stored.is_ok(), number < KEY_ALGORITHMS_MAX, "{number}: {stored:?}");
    }
}
