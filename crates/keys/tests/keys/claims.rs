//! One-time keys: each is given out once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::prelude::*;
use vestibule_keys::{ClaimKeys, ClaimKeysError, RemoteKeysError};
use vestibule_policy::PolicyConfig;
use vestibule_testkit::threaded_store;
use vestibule_types::limits;

use crate::support::{House, Person, raw, value};

/// Claims a key of somebody's device: its id, and the key.
pub(crate) async fn claim(
    house: &House,
    who: &Person,
    whose: &Person,
) -> Option<(String, serde_json::Value)> {
    let devices = [(whose.device.clone(), "signed_curve25519".to_owned())].into();
    let command =
        ClaimKeys { one_time_keys: [(whose.user.clone(), devices)].into(), timeout: None };
    let claimed = house.keys.claim_keys(&who.actor, command).await.expect("an answer");
    let keys = claimed.one_time_keys.get(&whose.user)?.get(&whose.device)?;
    assert_eq!(keys.len(), 1);
    keys.iter().next().map(|(id, key)| (id.clone(), value(key)))
}

#[tokio::test]
async fn keys_are_given_out_once_and_in_the_order_of_their_upload() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.member("alice", "LAPTOP").await;
        let bob = house.member("bob", "PHONE").await;
        alice.introduce(&house).await;
        alice.leave_keys(&house, &["ZZ"]).await;
        alice.leave_keys(&house, &["AA"]).await;
        let (id, key) = claim(&house, &bob, &alice).await.unwrap();
        assert_eq!(id, "signed_curve25519:ZZ", "the older one first");
        assert_eq!(key, alice.one_time_key("key ZZ"));
        assert_eq!(claim(&house, &bob, &alice).await.unwrap().0, "signed_curve25519:AA");
        assert_eq!(claim(&house, &bob, &alice).await, None);
        let counts = house.keys.one_time_key_counts(&alice.user, &alice.device).await.unwrap();
        assert!(counts.values().all(|count| *count == 0), "{counts:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_given_out_does_not_come_back_when_it_is_uploaded_again() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    claim(&house, &bob, &alice).await.unwrap();
    // The answer to the upload was lost, so the client tries again.
    let counts = alice.leave_keys(&house, &["AA"]).await;
    assert_eq!(counts.get("signed_curve25519").copied().unwrap_or_default(), 0);
    assert_eq!(claim(&house, &bob, &alice).await, None);
}

#[tokio::test]
async fn the_fallback_key_stands_in_as_often_as_needed_until_it_is_replaced() {
    let house = House::new(3);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    alice.leave_fallback(&house, "F1").await;
    let mut given = Vec::new();
    for _ in 0..3 {
        given.push(claim(&house, &bob, &alice).await.unwrap().0);
    }
    assert_eq!(given, ["signed_curve25519:AA", "signed_curve25519:F1", "signed_curve25519:F1"]);
    alice.leave_fallback(&house, "F2").await;
    assert_eq!(claim(&house, &bob, &alice).await.unwrap().0, "signed_curve25519:F2");
}

#[tokio::test]
async fn other_servers_claim_from_the_same_keys() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    let devices = [(alice.device.clone(), "signed_curve25519".to_owned())].into();
    let claims = [(alice.user.clone(), devices)].into();
    let origin = ruma::server_name!("far.test");
    let claimed = house.keys.claim_keys_for_server(origin, claims).await.unwrap();
    assert!(claimed[&alice.user][&alice.device].contains_key("signed_curve25519:AA"));
    assert_eq!(claim(&house, &bob, &alice).await, None);
}

#[tokio::test]
async fn a_server_that_claims_too_fast_is_told_to_wait_and_others_are_not() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    alice.introduce(&house).await;
    alice.leave_keys(&house, &["AA"]).await;
    let claims = || {
        let devices = [(alice.device.clone(), "signed_curve25519".to_owned())].into();
        [(alice.user.clone(), devices)].into()
    };
    let greedy = ruma::server_name!("far.test");
    let mut refused = None;
    for _ in 0..1_000 {
        refused = house.keys.claim_keys_for_server(greedy, [].into()).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(ClaimKeysError::Denied(_))), "{refused:?}");
    assert!(house.keys.claim_keys_for_server(greedy, claims()).await.is_err());
    let other = ruma::server_name!("other.test");
    assert_eq!(house.keys.claim_keys_for_server(other, claims()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_server_takes_all_the_keys_of_one_user_and_each_gets_the_fallback_key() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    let names: Vec<String> = (0..900).map(|number| format!("K{number:04}")).collect();
    for some in names.chunks(100) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        alice.leave_keys(&house, &some).await;
    }
    alice.leave_fallback(&house, "F").await;
    let of = |server: &'static str| {
        let devices = [(alice.device.clone(), "signed_curve25519".to_owned())].into();
        let claims = [(alice.user.clone(), devices)].into();
        let (keys, device) = (house.keys.clone(), alice.device.clone());
        async move {
            let origin = server.try_into().unwrap();
            let claimed = keys.claim_keys_for_server(origin, claims).await.unwrap();
            let keys = claimed.into_values().next().unwrap().remove(&device).unwrap();
            keys.into_keys().next().unwrap()
        }
    };
    let mut taken = Vec::new();
    for server in ["one.test", "two.test", "three.test"] {
        let mut by_one = 0;
        for _ in 0..200 {
            by_one += u32::from(of(server).await != "signed_curve25519:F");
        }
        taken.push(by_one);
    }
    let of_one = limits::KEYS_CLAIMED_BY_SERVER_AT_ONCE;
    let of_all = limits::KEYS_CLAIMED_ABROAD_AT_ONCE;
    assert_eq!(taken, [of_one, of_one, of_all - 2 * of_one]);
    let next = format!("signed_curve25519:K{of_all:04}");
    assert_eq!(claim(&house, &bob, &alice).await.unwrap().0, next, "people here have the rest");
    house.test.clock.advance(Duration::from_mins(1));
    assert_ne!(of("one.test").await, "signed_curve25519:F", "and later it gets some again");
}

#[tokio::test]
async fn keys_of_other_servers_are_claimed_there() {
    let house = House::new(1);
    let bob = house.member("bob", "PHONE").await;
    let zoe: ruma::OwnedUserId = "@zoe:far.test".try_into().unwrap();
    let key = ("signed_curve25519:Q".to_owned(), serde_json::json!({ "key": "q" }));
    let device = ruma::OwnedDeviceId::from("FAR");
    house.elsewhere.one_time.lock().insert((zoe.clone(), device.clone()), vec![key]);
    let ask = || async {
        let devices = [(device.clone(), "signed_curve25519".to_owned())].into();
        let command = ClaimKeys { one_time_keys: [(zoe.clone(), devices)].into(), timeout: None };
        house.keys.claim_keys(&bob.actor, command).await.unwrap()
    };
    let claimed = ask().await;
    assert_eq!(claimed.one_time_keys[&zoe][&device]["signed_curve25519:Q"].get(), r#"{"key":"q"}"#);
    assert!(claimed.failures.is_empty());
    *house.elsewhere.unreachable.lock() = true;
    let claimed = ask().await;
    assert_eq!(claimed.failures[zoe.server_name()], RemoteKeysError::Unreachable);
}

/// Runs beside the caller.
#[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
fn beside<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

/// A house with a commit thread and a pool, as a server has them.
fn busy_house() -> House {
    House::over(&PolicyConfig::default(), threaded_store(4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_claim_at_once_never_get_the_same_key() {
    let house = Arc::new(busy_house());
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    let names: Vec<String> = (0..60).map(|number| format!("K{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    alice.leave_keys(&house, &names).await;
    let claims = (0..80).map(|_| {
        let (house, alice, bob) = (house.clone(), alice.clone(), bob.clone());
        beside(async move { claim(&house, &bob, &alice).await })
    });
    let mut given = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        given.extend(claim.await.unwrap().map(|(id, _)| id));
    }
    assert_eq!(given.len(), 60, "every key was given out");
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 60, "and none of them twice");
    assert_eq!(claim(&house, &bob, &alice).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_claimed_while_its_device_logs_out_is_gone_for_good() {
    let house = Arc::new(busy_house());
    let bob = house.member("bob", "PHONE").await;
    for round in 0..20 {
        let alice = house.member(&format!("alice{round}"), "LAPTOP").await;
        alice.introduce(&house).await;
        alice.leave_keys(&house, &["AA"]).await;
        let (taking, leaving) = (house.clone(), house.clone());
        let (one, other, me) = (alice.clone(), alice.clone(), bob.clone());
        let taken = beside(async move { claim(&taking, &me, &one).await });
        let left = beside(async move { leaving.accounts.log_out(&other.actor).await });
        left.await.unwrap().unwrap();
        taken.await.unwrap();
        assert_eq!(claim(&house, &bob, &alice).await, None);
        let counts = house.keys.one_time_key_counts(&alice.user, &alice.device).await.unwrap();
        assert!(counts.values().all(|count| *count == 0), "{counts:?}");
    }
}

/// What may happen to the keys of a device.
#[derive(Clone, Debug)]
enum Step {
    Upload(Vec<u8>),
    Fallback(u8),
    Claim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::collection::vec(0..20_u8, 1..4).prop_map(Step::Upload),
        (0..3_u8).prop_map(Step::Fallback),
        Just(Step::Claim),
        Just(Step::Claim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_no_key_is_given_out_twice(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let house = House::new(3);
            let alice = house.member("alice", "LAPTOP").await;
            let bob = house.member("bob", "PHONE").await;
            alice.introduce(&house).await;
            let (mut waiting, mut given) = (BTreeSet::new(), BTreeSet::new());
            let mut fallback = None;
            for step in steps {
                match step {
                    Step::Upload(names) => {
                        let names: BTreeSet<String> =
                            names.iter().map(|it| format!("K{it}")).collect();
                        let list: Vec<&str> = names.iter().map(String::as_str).collect();
                        let counts = alice.leave_keys(&house, &list).await;
                        waiting.extend(names.into_iter().filter(|name| !given.contains(name)));
                        let count = counts.get("signed_curve25519").copied().unwrap_or_default();
                        assert_eq!(count, waiting.len() as u64);
                    }
                    Step::Fallback(name) => {
                        alice.leave_fallback(&house, &format!("F{name}")).await;
                        fallback = Some(format!("F{name}"));
                    }
                    Step::Claim => {
                        let claimed = claim(&house, &bob, &alice).await;
                        let name = claimed.map(|(id, _)| id.split_once(':').unwrap().1.to_owned());
                        if waiting.is_empty() {
                            assert_eq!(name, fallback);
                        } else {
                            let name = name.unwrap();
                            assert!(waiting.remove(&name), "{name} was not waiting");
                            assert!(given.insert(name));
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn a_plain_text_is_a_key_too() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let keys = [("curve25519:AA".to_owned(), raw(&serde_json::json!("plain")))].into();
    let command = vestibule_keys::UploadKeys { one_time_keys: keys, ..Default::default() };
    assert_eq!(alice.upload(&house, command).await.unwrap()["curve25519"], 1);
    let devices = [(alice.device.clone(), "curve25519".to_owned())].into();
    let claims = ClaimKeys { one_time_keys: [(alice.user.clone(), devices)].into(), timeout: None };
    let claimed = house.keys.claim_keys(&alice.actor, claims).await.unwrap();
    assert_eq!(
        claimed.one_time_keys[&alice.user][&alice.device]["curve25519:AA"].get(),
        r#""plain""#
    );
}
