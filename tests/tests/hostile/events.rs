//! Events as bytes: parsing either refuses them or makes something that holds together.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what does not hold fails its test"
)]

use serde_json::Value;
use vestibule_events::{
    Pdu, PublicKeys, RoomVersion, Unsigned, client_event, redact, required_signers, stripped_state,
    verify,
};
use vestibule_testkit::Mutator;

use crate::corpus::{Turns, bytes, objects};

/// Does with bytes what is done with an event from elsewhere. Whether they were an event.
fn take(json: &[u8], version: RoomVersion) -> bool {
    let Ok(pdu) = Pdu::parse_untrusted(json, version) else { return false };
    let again = Pdu::parse_untrusted(pdu.json(), version).expect("what was accepted is accepted");
    assert_eq!(again.event_id(), pdu.event_id(), "the id is of what is stored");
    assert_eq!(again.json(), pdu.json(), "what is stored is canonical");
    let stored = Pdu::parse(pdu.json().clone(), version).expect("what is stored is read again");
    assert_eq!(stored.event_id(), pdu.event_id());
    if let Ok(redacted) = redact(&pdu) {
        let id = Pdu::parse(redacted.json().clone(), version).expect("an event").event_id().clone();
        assert_eq!(&id, pdu.event_id(), "redaction keeps the id");
        let twice = redact(&redacted).expect("redacted twice");
        assert_eq!(twice.json(), redacted.json(), "redaction is idempotent");
    }
    // An invitation by a third party needs no signature of its sender's server.
    let needs_keys = required_signers(&pdu).map_or(true, |servers| !servers.is_empty());
    let verified = verify(pdu.clone(), &PublicKeys::new());
    assert!(!(needs_keys && verified.is_ok()), "nobody's key is known");
    let shown = client_event(&pdu, true, &Unsigned::default());
    if let Ok(shown) = shown {
        let shown: Value = serde_json::from_str(shown.get()).expect("clients get JSON");
        assert_eq!(shown["event_id"], pdu.event_id().as_str());
    }
    if let Ok(stripped) = stripped_state(&pdu) {
        let _: Value = serde_json::from_str(stripped.get()).expect("clients get JSON");
    }
    true
}

#[test]
fn the_corpus_is_read_and_its_broken_part_is_not() {
    for event in objects("pdus") {
        let whole = event.to_string();
        let read = RoomVersion::ALL.iter().filter(|version| take(whole.as_bytes(), **version));
        assert!(read.count() > 0, "no room version takes {whole}");
    }
    for version in RoomVersion::ALL {
        for (number, text) in bytes("bytes").iter().enumerate() {
            take(text, version);
            let strict = version >= RoomVersion::V6;
            assert!(!(strict && take(text, version) && number == 0), "nothing is no event");
        }
    }
}

#[test]
fn no_bytes_upset_the_reading_of_events() {
    let (events, broken) = (objects("pdus"), bytes("bytes"));
    let mut taken = 0_u64;
    let mut turns = 0;
    for seed in Turns::of_this_run(2_000) {
        let mutator = Mutator::new(seed);
        let version = *mutator.pick(&RoomVersion::ALL).unwrap();
        let json = if mutator.below(3) == 0 {
            let mut json = match mutator.below(4) {
                0 => mutator.pick(&broken).unwrap().clone(),
                _ => mutator.pick(&events).unwrap().to_string().into_bytes(),
            };
            mutator.change_bytes(&mut json);
            json
        } else {
            let mut event = mutator.pick(&events).unwrap().clone();
            mutator.change(&mut event);
            event.to_string().into_bytes()
        };
        let outcome = std::panic::catch_unwind(|| take(&json, version));
        let Ok(read) = outcome else {
            panic!("seed {seed}, room version {version}: {}", String::from_utf8_lossy(&json));
        };
        taken += u64::from(read);
        turns += 1;
    }
    // A fuzzer that is always refused at the door tests the door.
    assert!(taken * 10 > turns, "only {taken} of {turns} were events");
}
