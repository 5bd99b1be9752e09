//! Events are built, stored, received, verified and shown.

#![cfg(test)]

use std::fmt::Write as _;

use bytes::Bytes;
use proptest::prelude::*;
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId,
    events::TimelineEventType, owned_event_id, owned_room_id, owned_user_id, serde::Base64,
    server_name, uint, user_id,
};
use serde_json::{Value, json, value::RawValue};
use vestibule_events::{
    BuildError, ContentError, EventBuilder, FormatError, Pdu, PduError, PublicKeys, RoomVersion,
    SigningKey, Unsigned, auth_types, canonical_content, canonical_content_of, client_event,
    cosign, redact, required_signers, stripped_state, verify,
};
use vestibule_types::limits::{CONTENT_DEPTH_MAX, EVENT_BYTES_MAX};

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32], "a_1").expect("a key")
}

fn keys_of(server: &str, key: &SigningKey) -> PublicKeys {
    let public = Base64::parse(key.public_key()).expect("base64");
    let set = [(key.key_id().to_string(), public)].into_iter().collect();
    [(server.to_owned(), set)].into_iter().collect()
}

fn content(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).expect("canonical")
}

fn message(text: &str) -> EventBuilder {
    EventBuilder {
        room_id: Some(owned_room_id!("!room:example.com")),
        sender: owned_user_id!("@alice:example.com"),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: content(json!({ "msgtype": "m.text", "body": text })),
        origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(1_700_000_000)),
        prev_events: vec![owned_event_id!("$parent")],
        auth_events: vec![owned_event_id!("$auth")],
        depth: 7,
        redacts: None,
    }
}

fn create() -> EventBuilder {
    EventBuilder {
        event_type: "m.room.create".to_owned(),
        state_key: Some(String::new()),
        content: content(json!({ "room_version": "12" })),
        room_id: None,
        prev_events: Vec::new(),
        auth_events: Vec::new(),
        depth: 1,
        ..message("")
    }
}

fn build(version: RoomVersion, builder: EventBuilder) -> Pdu {
    builder.build_and_sign(version, &key(), server_name!("example.com")).expect("well formed")
}

fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).expect("JSON")
}

/// The event as an object to be tampered with.
fn tampered(pdu: &Pdu, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event = serde_json::from_slice(pdu.json()).expect("JSON");
    change(&mut event);
    serde_json::to_vec(&event).expect("serializable")
}

fn format_error(json: &[u8]) -> FormatError {
    match Pdu::parse_untrusted(json, RoomVersion::V11) {
        Err(PduError::Format(error)) => error,
        other => panic!("expected a format error, got {other:?}"),
    }
}

#[test]
fn a_built_event_reads_the_same_when_parsed_stored_or_received() {
    for version in RoomVersion::ALL {
        let built = build(version, message("hi"));
        let parsed = Pdu::parse(built.json().clone(), version).expect("parses");
        let received = Pdu::parse_untrusted(built.json(), version).expect("parses");
        for other in [&parsed, &received] {
            assert_eq!(other.event_id(), built.event_id(), "{version}");
            assert_eq!(other.json(), built.json(), "{version}");
        }
        let stored = Pdu::from_stored(built.event_id().clone(), built.json().clone(), version);
        let stored = stored.expect("parses");
        assert_eq!(stored.sender(), user_id!("@alice:example.com"));
        assert_eq!(stored.kind(), "m.room.message");
        assert_eq!(*stored.event_type(), TimelineEventType::RoomMessage);
        assert_eq!(stored.state_key(), None);
        assert_eq!(stored.room_id(), "!room:example.com");
        assert_eq!(stored.depth(), 7);
        assert_eq!(stored.prev_events(), [owned_event_id!("$parent")]);
        assert_eq!(stored.auth_events(), [owned_event_id!("$auth")]);
        assert!(!stored.rejected());
        assert!(stored.with_rejected(true).rejected());
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    assert_eq!(
        build(RoomVersion::V10, message("x")).json(),
        build(RoomVersion::V10, message("x")).json()
    );
    assert_ne!(
        build(RoomVersion::V10, message("x")).event_id(),
        build(RoomVersion::V10, message("y")).event_id()
    );
}

#[test]
fn event_ids_are_url_safe_since_version_4() {
    let texts = (0..64).map(|number| format!("{number}"));
    let ids = |version| -> String {
        texts.clone().map(|text| build(version, message(&text)).event_id().to_string()).collect()
    };
    assert!(ids(RoomVersion::V3).contains(['+', '/']));
    let url_safe = ids(RoomVersion::V4);
    assert!(!url_safe.contains(['+', '/']));
    assert!(url_safe.contains(['-', '_']));
}

#[test]
fn a_create_event_of_version_12_makes_its_room() {
    let pdu = build(RoomVersion::V12, create());
    let hash = pdu.event_id().as_str().trim_start_matches('$').to_owned();
    assert_eq!(pdu.room_id().as_str(), format!("!{hash}"));
    assert_eq!(hash.len(), 43);
    assert!(serde_json::from_slice::<Value>(pdu.json()).expect("JSON").get("room_id").is_none());
    assert_eq!(ruma::state_res::Event::room_id(&pdu), None, "the event itself names no room");
    assert_eq!(Pdu::create_event_id_of(pdu.room_id()).as_ref(), Some(pdu.event_id()));
    let again = Pdu::parse_untrusted(pdu.json(), RoomVersion::V12).expect("parses");
    assert_eq!(again.room_id(), pdu.room_id());
    let shown = client_event(&pdu, true, &Unsigned::default()).expect("shown");
    assert_eq!(value(&shown)["room_id"], json!(pdu.room_id()));
}

#[test]
fn only_the_create_event_of_version_12_has_no_room() {
    let server = server_name!("example.com");
    let no_room = EventBuilder { room_id: None, ..message("x") };
    for version in RoomVersion::ALL {
        let built = no_room.clone().build_and_sign(version, &key(), server);
        assert!(matches!(built, Err(BuildError::RoomId)), "{version}");
    }
    let created = create().build_and_sign(RoomVersion::V11, &key(), server);
    assert!(matches!(created, Err(BuildError::RoomId)));
    let named = EventBuilder { room_id: Some(owned_room_id!("!x:example.com")), ..create() };
    let named = named.build_and_sign(RoomVersion::V12, &key(), server);
    assert!(matches!(named, Err(BuildError::RoomId)));
}

#[test]
fn an_event_may_be_exactly_as_large_as_allowed() {
    let base = build(RoomVersion::V11, message("")).json().len();
    let largest = build(RoomVersion::V11, message(&"x".repeat(EVENT_BYTES_MAX - base)));
    assert_eq!(largest.json().len(), EVENT_BYTES_MAX);
    Pdu::parse_untrusted(largest.json(), RoomVersion::V11).expect("not too large");
    let one_more = message(&"x".repeat(EVENT_BYTES_MAX - base + 1));
    let one_more = one_more.build_and_sign(RoomVersion::V11, &key(), server_name!("example.com"));
    assert!(
        matches!(one_more, Err(BuildError::TooLarge { bytes }) if bytes == EVENT_BYTES_MAX + 1)
    );
    let much_more = message(&"x".repeat(3 * EVENT_BYTES_MAX));
    let much_more = much_more.build_and_sign(RoomVersion::V11, &key(), server_name!("example.com"));
    assert!(matches!(much_more, Err(BuildError::TooLarge { .. })));
}

#[test]
fn identifiers_have_255_bytes_at_most() {
    let server = server_name!("example.com");
    for (length, fits) in [(255, true), (256, false)] {
        let long_type = EventBuilder { event_type: "t".repeat(length), ..message("x") };
        let built = long_type.build_and_sign(RoomVersion::V11, &key(), server);
        assert_eq!(built.is_ok(), fits);
        let long_key = EventBuilder { state_key: Some("k".repeat(length)), ..message("x") };
        let built = long_key.build_and_sign(RoomVersion::V11, &key(), server);
        assert_eq!(built.is_ok(), fits);
        if let Err(error) = built {
            assert!(matches!(error, BuildError::FieldTooLong("state_key")));
        }
    }
}

#[test]
fn the_length_of_an_identifier_is_counted_in_bytes() {
    let server = server_name!("example.com");
    for (letters, fits) in [(127, true), (128, false)] {
        let long_key = EventBuilder { state_key: Some("é".repeat(letters)), ..message("x") };
        assert_eq!(long_key.build_and_sign(RoomVersion::V11, &key(), server).is_ok(), fits);
    }
}

#[test]
fn depth_ends_at_the_largest_canonical_integer() {
    let deep = build(RoomVersion::V11, EventBuilder { depth: u64::MAX, ..message("x") });
    assert_eq!(deep.depth(), (1 << 53) - 1);
    Pdu::parse_untrusted(deep.json(), RoomVersion::V11).expect("allowed");
    let deeper = String::from_utf8(deep.json().to_vec()).expect("text");
    let deeper = deeper.replace("9007199254740991", "9007199254740992");
    let deeper = Pdu::parse_untrusted(deeper.as_bytes(), RoomVersion::V11);
    assert!(matches!(deeper, Err(PduError::NotCanonical(_))));
}

#[test]
fn a_malformed_event_from_elsewhere_names_the_field() {
    let good = build(RoomVersion::V11, message("x"));
    let fields = [
        "auth_events",
        "content",
        "depth",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "signatures",
        "type",
    ];
    for field in fields {
        let without = tampered(&good, |event| {
            event.as_object_mut().expect("object").remove(field);
        });
        assert_eq!(format_error(&without), FormatError::Missing(field));
        let mistyped = tampered(&good, |event| event[field] = json!(true));
        assert_eq!(format_error(&mistyped), FormatError::WrongType(field));
    }
    let null_key = tampered(&good, |event| event["state_key"] = Value::Null);
    assert_eq!(format_error(&null_key), FormatError::WrongType("state_key"));
    let set = |field: &str, to: Value| tampered(&good, |event| event[field] = to);
    assert_eq!(format_error(&set("sender", json!("alice"))), FormatError::Invalid("sender"));
    assert_eq!(format_error(&set("room_id", json!("room"))), FormatError::Invalid("room_id"));
    assert_eq!(format_error(&set("depth", json!(-1))), FormatError::Invalid("depth"));
    let ts = "origin_server_ts";
    assert_eq!(format_error(&set(ts, json!(-1))), FormatError::Invalid("origin_server_ts"));
    for (field, most) in [("prev_events", 20), ("auth_events", 10)] {
        let full = set(field, json!(vec!["$x"; most]));
        Pdu::parse_untrusted(&full, RoomVersion::V11).expect("as many as allowed");
        assert!(matches!(
            format_error(&set(field, json!(vec!["$x"; most + 1]))),
            FormatError::TooMany(_)
        ));
        assert!(matches!(
            format_error(&set(field, json!([["$x", {}]]))),
            FormatError::WrongType(_)
        ));
        assert!(matches!(format_error(&set(field, json!(["x"]))), FormatError::Invalid(_)));
    }
}

#[test]
fn the_create_event_of_version_12_is_no_auth_event() {
    let room_id = build(RoomVersion::V12, create()).room_id().to_owned();
    let create_id = Pdu::create_event_id_of(&room_id).expect("an id");
    let fine = build(RoomVersion::V12, EventBuilder { room_id: Some(room_id), ..message("x") });
    let named = tampered(&fine, |event| event["auth_events"] = json!([create_id]));
    let named = Pdu::parse_untrusted(&named, RoomVersion::V12);
    assert!(matches!(named, Err(PduError::Format(FormatError::Invalid("auth_events")))));
}

#[test]
fn floats_and_large_integers_from_elsewhere_are_not_canonical() {
    let good = build(RoomVersion::V11, message("x"));
    for number in ["1.5", "1.0", "1e3", "-0", "9007199254740992", "-9007199254740992"] {
        let text = String::from_utf8(good.json().to_vec()).expect("text");
        let odd = text.replace(r#""body":"x""#, &format!(r#""body":{number}"#));
        let parsed = Pdu::parse_untrusted(odd.as_bytes(), RoomVersion::V11);
        assert!(matches!(parsed, Err(PduError::NotCanonical(_))), "{number}");
    }
    assert!(Pdu::parse_untrusted(b"\xff", RoomVersion::V11).is_err());
    assert!(Pdu::parse_untrusted(b"[]", RoomVersion::V11).is_err());
    let bomb = "[".repeat(100_000);
    assert!(Pdu::parse_untrusted(bomb.as_bytes(), RoomVersion::V11).is_err());
}

#[test]
fn what_arrives_unsorted_or_with_unsigned_is_stored_canonical_and_without() {
    let good = build(RoomVersion::V11, message("x"));
    let object: serde_json::Map<String, Value> = serde_json::from_slice(good.json()).expect("JSON");
    let mut text = r#"{ "unsigned" : {"age": 5}"#.to_owned();
    for (field, value) in object.iter().rev() {
        write!(text, " , \"{field}\" : {value}").expect("written");
    }
    text.push('}');
    let received = Pdu::parse_untrusted(text.as_bytes(), RoomVersion::V11).expect("parses");
    assert_eq!(received.json(), good.json());
    assert_eq!(received.event_id(), good.event_id());
}

#[test]
fn a_whole_event_verifies_and_a_changed_one_is_redacted() {
    for version in RoomVersion::ALL {
        let good = build(version, message("x"));
        let keys = keys_of("example.com", &key());
        assert!(verify(good.clone(), &keys).is_ok_and(|it| it.is_whole()), "{version}");

        let changed = tampered(&good, |event| event["content"]["body"] = json!("y"));
        let changed = Pdu::parse_untrusted(&changed, version).expect("parses");
        assert_eq!(changed.event_id(), good.event_id(), "{version}: the id does not cover content");
        let left = verify(changed, &keys).expect("the signatures hold");
        assert!(!left.is_whole(), "{version}: not redacted");
        let left = left.into_pdu();
        assert_eq!(left.content().get(), "{}", "{version}");
        assert_eq!(left.event_id(), good.event_id(), "{version}");

        let forged = tampered(&good, |event| event["depth"] = json!(8));
        let forged = Pdu::parse_untrusted(&forged, version).expect("parses");
        assert!(verify(forged, &keys).is_err(), "{version}: signatures cover the depth");
        let other_key = SigningKey::from_seed([8; 32], "a_1").expect("a key");
        assert!(verify(good.clone(), &keys_of("example.com", &other_key)).is_err(), "{version}");
        assert!(verify(good, &PublicKeys::new()).is_err(), "{version}: no keys at all");
    }
}

#[test]
fn a_restricted_join_needs_the_signature_of_the_server_that_vouches() {
    let join = |via: &str| EventBuilder {
        event_type: "m.room.member".to_owned(),
        state_key: Some("@alice:example.com".to_owned()),
        content: content(json!({ "membership": "join", "join_authorised_via_users_server": via })),
        ..message("")
    };
    let pdu = build(RoomVersion::V11, join("@bob:other.org"));
    let signers = required_signers(&pdu).expect("well formed");
    assert_eq!(signers.len(), 2);
    let vouching = SigningKey::from_seed([9; 32], "b").expect("a key");
    let mut keys = keys_of("example.com", &key());
    keys.extend(keys_of("other.org", &vouching));
    assert!(verify(pdu.clone(), &keys).is_err());
    let signed = cosign(&pdu, &vouching, server_name!("other.org")).expect("signed");
    assert_eq!(signed.event_id(), pdu.event_id());
    assert!(verify(signed, &keys).is_ok_and(|it| it.is_whole()));
    let old = build(RoomVersion::V7, join("@bob:other.org"));
    assert_eq!(required_signers(&old).expect("well formed").len(), 1);
}

#[test]
fn redaction_keeps_id_and_rejection() {
    let pdu = build(RoomVersion::V11, message("secret")).with_rejected(true);
    let left = redact(&pdu).expect("redactable");
    assert_eq!(left.event_id(), pdu.event_id());
    assert!(left.rejected());
    assert_eq!(left.content().get(), "{}");
    let again = Pdu::parse(left.json().clone(), RoomVersion::V11).expect("parses");
    assert_eq!(again.event_id(), pdu.event_id(), "the reference hash is that of the redacted form");
}

fn redaction(version: RoomVersion) -> Pdu {
    let target = EventId::parse("$target").expect("an id");
    let builder = EventBuilder {
        event_type: "m.room.redaction".to_owned(),
        content: content(json!({ "reason": "spam" })),
        redacts: Some(target),
        ..message("")
    };
    build(version, builder)
}

#[test]
fn a_redaction_names_its_target_where_the_version_wants_it_and_clients_see_it_twice() {
    for version in RoomVersion::ALL {
        let pdu = redaction(version);
        assert_eq!(pdu.redacts().map(EventId::as_str), Some("$target"), "{version}");
        let stored: Value = serde_json::from_slice(pdu.json()).expect("JSON");
        let in_content = version >= RoomVersion::V11;
        assert_eq!(stored.get("redacts").is_some(), !in_content, "{version}");
        assert_eq!(stored["content"].get("redacts").is_some(), in_content, "{version}");
        let shown = value(&client_event(&pdu, false, &Unsigned::default()).expect("shown"));
        assert_eq!(shown["redacts"], "$target", "{version}");
        assert_eq!(
            shown["content"],
            json!({ "reason": "spam", "redacts": "$target" }),
            "{version}"
        );
    }
}

#[test]
fn a_target_of_the_wrong_kind_is_no_target() {
    let pdu = redaction(RoomVersion::V11);
    for odd in [json!(5), json!(null), json!("no event id")] {
        let bytes = tampered(&pdu, |event| event["content"]["redacts"] = odd.clone());
        let odd_one = Pdu::parse(bytes.into(), RoomVersion::V11).expect("parses");
        assert_eq!(odd_one.redacts(), None, "{odd}");
    }
    let message = build(RoomVersion::V10, message("x"));
    let with_field = tampered(&message, |event| event["redacts"] = json!("$target"));
    let with_field = Pdu::parse(with_field.into(), RoomVersion::V10).expect("parses");
    assert_eq!(with_field.redacts(), None, "only redactions redact");
}

#[test]
fn clients_see_the_event_and_nothing_of_its_making() {
    let topic = EventBuilder {
        event_type: "m.room.topic".to_owned(),
        state_key: Some(String::new()),
        content: content(json!({ "topic": "\"tea\" \n日" })),
        ..message("")
    };
    let pdu = build(RoomVersion::V11, topic);
    let before = RawValue::from_string(r#"{"topic":"before"}"#.to_owned()).expect("JSON");
    let replaced: OwnedEventId = owned_event_id!("$before");
    let unsigned = Unsigned {
        age: Some(12),
        transaction_id: Some("t1"),
        prev_content: Some(&before),
        replaces_state: Some(&replaced),
        ..Unsigned::default()
    };
    let shown = value(&client_event(&pdu, true, &unsigned).expect("shown"));
    assert_eq!(
        shown,
        json!({
            "content": { "topic": "\"tea\" \n日" },
            "event_id": pdu.event_id(),
            "origin_server_ts": 1_700_000_000,
            "room_id": "!room:example.com",
            "sender": "@alice:example.com",
            "state_key": "",
            "type": "m.room.topic",
            "unsigned": {
                "age": 12,
                "transaction_id": "t1",
                "prev_content": { "topic": "before" },
                "replaces_state": "$before",
            },
        })
    );
    let bare = value(&client_event(&pdu, false, &Unsigned::default()).expect("shown"));
    assert!(bare.get("room_id").is_none() && bare.get("unsigned").is_none());
    assert_eq!(
        value(&stripped_state(&pdu).expect("shown")),
        json!({
            "content": { "topic": "\"tea\" \n日" },
            "sender": "@alice:example.com",
            "state_key": "",
            "type": "m.room.topic",
        })
    );
    assert_eq!(pdu.to_federation_json().expect("JSON").get().as_bytes(), &**pdu.json());
}

#[test]
fn content_from_clients_is_held_to_canonical_json() {
    let parse =
        |text: &str| canonical_content(&RawValue::from_string(text.to_owned()).expect("JSON"));
    assert!(matches!(parse("[]"), Err(ContentError::NotAnObject)));
    assert!(matches!(parse("null"), Err(ContentError::NotAnObject)));
    for bad in [r#"{"a":1.5}"#, r#"{"a":[1e2]}"#, r#"{"a":9007199254740992}"#] {
        assert!(matches!(parse(bad), Err(ContentError::NotCanonical(_))), "{bad}");
    }
    assert!(parse(r#"{"a":9007199254740991,"b":-9007199254740991}"#).is_ok());
    assert_eq!(parse(r#"{"a":1,"a":2}"#).expect("fine"), content(json!({ "a": 2 })));
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(CONTENT_DEPTH_MAX - 1)).is_ok());
    assert!(matches!(parse(&nested(CONTENT_DEPTH_MAX)), Err(ContentError::TooDeep)));
    assert!(matches!(parse(&nested(200_000)), Err(ContentError::TooDeep)));
    let brackets_in_text = format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500));
    assert!(parse(&brackets_in_text).is_ok());
    let deepest = parse(&nested(CONTENT_DEPTH_MAX - 1)).expect("fine");
    let pdu = build(RoomVersion::V12, {
        let room_id = build(RoomVersion::V12, create()).room_id().to_owned();
        EventBuilder { room_id: Some(room_id), content: deepest, ..message("") }
    });
    Pdu::parse_untrusted(pdu.json(), RoomVersion::V12)
        .expect("others can read the deepest content");
    assert_eq!(canonical_content_of(&json!({ "a": 1 })).expect("fine"), content(json!({ "a": 1 })));
    assert!(canonical_content_of(&json!({ "a": 1.5 })).is_err());
    assert!(canonical_content_of(&json!("text")).is_err());
}

#[test]
fn auth_types_follow_the_version() {
    let raw = |value: Value| serde_json::value::to_raw_value(&value).expect("JSON");
    let alice = user_id!("@alice:example.com");
    let types = |version, kind, key, content: Value| {
        let types = auth_types(version, kind, alice, key, &raw(content)).expect("well formed");
        let mut names: Vec<String> =
            types.into_iter().map(|(kind, key)| format!("{kind}|{key}")).collect();
        names.sort();
        names
    };
    let member = "m.room.member|@alice:example.com";
    let message = types(RoomVersion::V11, "m.room.message", None, json!({}));
    assert_eq!(message, ["m.room.create|", member, "m.room.power_levels|"]);
    let message = types(RoomVersion::V12, "m.room.message", None, json!({}));
    assert_eq!(message, [member, "m.room.power_levels|"]);
    assert!(types(RoomVersion::V11, "m.room.create", Some(""), json!({})).is_empty());
    let join = json!({ "membership": "join", "join_authorised_via_users_server": "@bob:b.org" });
    let join = types(RoomVersion::V12, "m.room.member", Some("@alice:example.com"), join);
    let expected =
        ["m.room.join_rules|", member, "m.room.member|@bob:b.org", "m.room.power_levels|"];
    assert_eq!(join, expected);
    let no_membership =
        auth_types(RoomVersion::V12, "m.room.member", alice, Some("x"), &raw(json!({})));
    assert!(no_membership.is_err());
}

#[test]
fn no_enabled_library_feature_renames_event_types() {
    // State is keyed by these names. A library feature that takes one for an alias of another would
    // merge two places of a room's state.
    let names = [
        "m.call.member",
        "org.matrix.msc3401.call.member",
        "m.beacon_info",
        "org.matrix.msc3672.beacon_info",
        "m.room.retention",
        "org.matrix.msc1763.retention",
        "m.room.language",
        "org.matrix.msc4334.room.language",
        "m.room.policy",
        "org.matrix.msc4284.policy",
        "m.member_hints",
        "io.element.functional_members",
        "m.room.presence_sharing",
        "org.matrix.call.sdp_stream_metadata_changed",
        "m.room.encrypted",
        "m.room.image_pack",
        "im.ponies.room_emotes",
        "m.space.child",
    ];
    for name in names {
        assert_eq!(ruma::events::StateEventType::from(name).to_string(), name);
        if name != "org.matrix.call.sdp_stream_metadata_changed" {
            assert_eq!(TimelineEventType::from(name).to_string(), name);
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_built_is_accepted_elsewhere(
        version in prop::sample::select(RoomVersion::ALL.to_vec()),
        body in ".{0,200}",
        kind in "[a-z.]{1,40}",
        state_key in prop::option::of(".{0,60}"),
        number in -9_007_199_254_740_991_i64..=9_007_199_254_740_991,
    ) {
        let room_id = build(RoomVersion::V12, create()).room_id().to_owned();
        let builder = EventBuilder {
            room_id: Some(room_id),
            event_type: kind,
            state_key,
            content: content(json!({ "body": body, "n": number, &body: [] })),
            ..message("")
        };
        prop_assume!(!version.room_id_is_create_event() || builder.event_type != "m.room.create");
        let pdu = build(version, builder);
        let received = Pdu::parse_untrusted(pdu.json(), version).expect("accepted");
        prop_assert_eq!(received.event_id(), pdu.event_id());
        let keys = keys_of("example.com", &key());
        prop_assert!(verify(received, &keys).is_ok_and(|it| it.is_whole()));
        let stored = Pdu::from_stored(pdu.event_id().clone(), Bytes::clone(pdu.json()), version).expect("parses");
        let shown = value(stored.content());
        prop_assert_eq!(shown["body"].as_str(), Some(&*body));
    }

    #[test]
    fn parsing_what_others_send_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pdu::parse_untrusted(&bytes, RoomVersion::V12);
    }
}
