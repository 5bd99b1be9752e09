//! Signatures on events: which keys count depends on the room version and the time.

use ruma::{MilliSecondsSinceUnixEpoch, UInt, owned_event_id, owned_room_id};
use serde_json::{Value, json};
use vestibule_events::{EventBuilder, Pdu, RoomVersion};
use vestibule_federation::VerifyEventError;
use vestibule_testkit::EPOCH_MS;

use super::{Server, elsewhere::Elsewhere, server};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn event(of: &Elsewhere, version: RoomVersion, at: u64, text: &str) -> Pdu {
    let builder = EventBuilder {
        room_id: Some(owned_room_id!("!room:them.example")),
        sender: format!("@alice:{}", of.name).try_into().unwrap(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: serde_json::from_value(json!({ "body": text })).unwrap(),
        origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(at)),
        prev_events: vec![owned_event_id!("$parent")],
        auth_events: vec![owned_event_id!("$auth")],
        depth: 7,
        redacts: None,
    };
    builder.build_and_sign(version, &of.key, &of.name).unwrap()
}

/// The event after somebody changed it on the way.
fn changed(event: &Pdu, change: impl FnOnce(&mut Value)) -> Pdu {
    let mut object: Value = serde_json::from_slice(event.json()).unwrap();
    change(&mut object);
    Pdu::parse_untrusted(object.to_string().as_bytes(), event.version()).unwrap()
}

async fn verified(us: &Server, event: Pdu) -> bool {
    us.api.federation.key_ring().verify_events(vec![event]).await[0].is_ok()
}

#[tokio::test]
async fn many_events_need_one_question_per_server_and_are_answered_in_order() {
    let us = server().await;
    let servers: Vec<Elsewhere> =
        (1..=5).map(|number| Elsewhere::new(&format!("s{number}.example"), number)).collect();
    for server in &servers {
        server.publish(&us.internet, EPOCH_MS + DAY_MS);
    }
    us.internet.cut(&servers[4].name);
    let events: Vec<Pdu> = (0..200)
        .map(|number| {
            let event =
                event(&servers[number % 5], RoomVersion::V10, EPOCH_MS, &number.to_string());
            match number % 10 {
                1 => changed(&event, |event| event["content"]["body"] = json!("changed")),
                2 => changed(&event, |event| event["depth"] = json!(8)),
                3 => changed(&event, |event| event["signatures"] = json!({})),
                _ => event,
            }
        })
        .collect();
    let ids: Vec<_> = events.iter().map(|event| event.event_id().clone()).collect();
    let verified = us.api.federation.key_ring().verify_events(events).await;
    assert_eq!(verified.len(), 200);
    for (number, (id, verified)) in ids.iter().zip(verified).enumerate() {
        match (number % 10, verified) {
            (1, Ok(verified)) => {
                assert!(!verified.is_whole());
                assert_eq!(verified.pdu().content().get(), "{}");
                assert_eq!(verified.pdu().event_id(), id);
            }
            (2 | 3, Err(VerifyEventError::Invalid(_))) => {}
            (4 | 9, Err(VerifyEventError::NoKeys(server))) => assert_eq!(server, "s5.example"),
            (0 | 5..=8, Ok(verified)) => {
                assert!(verified.is_whole());
                assert_eq!(verified.pdu().event_id(), id);
            }
            (_, other) => panic!("{number}: {other:?}"),
        }
    }
    let asked = us.internet.asked();
    let direct = asked.iter().filter(|line| line.ends_with("GET /_matrix/key/v2/server"));
    assert_eq!(direct.count(), 5);
    assert_eq!(asked.len(), 6, "and the notary once: {asked:?}");
}

#[tokio::test]
async fn from_version_5_on_a_key_must_have_been_good_when_the_event_was_made() {
    for version in RoomVersion::ALL {
        let (us, them) = (server().await, Elsewhere::new("them.example", 1));
        them.publish(&us.internet, EPOCH_MS - DAY_MS);
        assert!(verified(&us, event(&them, version, EPOCH_MS - DAY_MS, "")).await, "{version}");
        let late = verified(&us, event(&them, version, EPOCH_MS - DAY_MS + 1, "")).await;
        assert_eq!(late, version < RoomVersion::V5, "{version}");
    }
}

#[tokio::test]
async fn a_key_for_ever_is_good_for_a_week_from_now() {
    const WEEK_MS: u64 = 7 * DAY_MS;
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, (1 << 53) - 1);
    assert!(verified(&us, event(&them, RoomVersion::V12, EPOCH_MS + WEEK_MS, "")).await);
    assert!(!verified(&us, event(&them, RoomVersion::V12, EPOCH_MS + WEEK_MS + 1, "")).await);
    assert!(verified(&us, event(&them, RoomVersion::V4, EPOCH_MS + WEEK_MS + 1, "")).await);
}

#[tokio::test]
async fn a_key_of_before_is_good_for_what_was_made_before_its_end() {
    for version in RoomVersion::ALL {
        let (us, them) = (server().await, Elsewhere::new("them.example", 1));
        let next = Elsewhere::new("them.example", 9);
        let mut keys = next.keys(EPOCH_MS + DAY_MS);
        keys["verify_keys"] = json!({ "ed25519:k_9": { "key": next.key.public_key() } });
        keys["old_verify_keys"] = json!({
            "ed25519:k_1": { "key": them.key.public_key(), "expired_ts": EPOCH_MS - DAY_MS },
        });
        them.publish_as(&us.internet, next.signed_with(keys, "k_9"));
        assert!(verified(&us, event(&them, version, EPOCH_MS - DAY_MS, "")).await, "{version}");
        assert!(!verified(&us, event(&them, version, EPOCH_MS - 1, "")).await, "{version}");
        assert_eq!(us.internet.asked().len(), 1, "{version}: asking again changes nothing");
    }
}

#[tokio::test]
async fn a_key_that_is_no_longer_named_keeps_the_validity_it_had() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let old = event(&them, RoomVersion::V12, EPOCH_MS, "");
    assert!(verified(&us, old.clone()).await);
    let next = Elsewhere::new("them.example", 9);
    let mut keys = next.keys(EPOCH_MS + 9 * DAY_MS);
    keys["verify_keys"] = json!({ "ed25519:k_9": { "key": next.key.public_key() } });
    us.time.clock.advance(std::time::Duration::from_hours(48));
    them.publish_as(&us.internet, next.signed_with(keys, "k_9"));
    assert!(!verified(&us, event(&them, RoomVersion::V12, EPOCH_MS + 2 * DAY_MS, "")).await);
    assert_eq!(us.internet.asked().len(), 2);
    assert!(verified(&us, old).await);
}

#[tokio::test]
async fn signatures_by_unknown_keys_are_skipped() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let signed = event(&them, RoomVersion::V12, EPOCH_MS, "");
    let with = |key_id: &str, signature: Value| {
        changed(&signed, |event| event["signatures"]["them.example"][key_id] = signature)
    };
    let garbage = json!("c2lnbmF0dXJl");
    assert!(verified(&us, with("ed25519:policy_server", garbage.clone())).await);
    assert!(verified(&us, with("other:1", json!(1))).await);
    assert_eq!(us.internet.asked().len(), 1, "a key that is not needed is not asked for");
    assert!(!verified(&us, with("ed25519:k_1", garbage)).await);
}

#[tokio::test]
async fn our_own_events_are_verified_without_asking_anybody() {
    let us = server().await;
    let ourselves = Elsewhere::ourselves();
    assert!(verified(&us, event(&ourselves, RoomVersion::V12, EPOCH_MS, "")).await);
    let impostor = Elsewhere::new("us.example", 3);
    assert!(!verified(&us, event(&impostor, RoomVersion::V12, EPOCH_MS, "")).await);
    assert!(us.internet.asked().is_empty());
}
