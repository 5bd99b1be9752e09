//! The test vectors of the specification's appendices.

#![cfg(test)]

use ruma::{CanonicalJsonObject, CanonicalJsonValue, serde::Base64, server_name, signatures};
use serde_json::{json, value::RawValue};
use vestibule_events::{RoomVersion, SigningKey, canonical_content, redact_json, verify_json};

const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

fn key() -> SigningKey {
    SigningKey::from_text(&format!("ed25519 1 {SEED}")).expect("the key of the specification")
}

fn object(value: serde_json::Value) -> CanonicalJsonObject {
    serde_json::from_value(value).expect("canonical")
}

fn canonical(json: &str) -> String {
    let raw = RawValue::from_string(json.to_owned()).expect("JSON");
    serde_json::to_string(&canonical_content(&raw).expect("canonical")).expect("serializable")
}

#[test]
fn canonical_json_sorts_keys_drops_spaces_and_escapes_nothing_needlessly() {
    let vectors = [
        ("{}", "{}"),
        (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
        (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{ "auth": { "success": true, "mxid": "@john.doe:example.com", "profile": {
                "display_name": "John Doe", "three_pids": [
                    { "medium": "email", "address": "john.doe@example.org" },
                    { "medium": "msisdn", "address": "123456789" } ] } } }"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        (r#"{ "a": null }"#, r#"{"a":null}"#),
    ];
    for (given, expected) in vectors {
        assert_eq!(canonical(given), expected);
    }
}

#[test]
fn keys_sort_by_code_point_and_control_characters_are_escaped_shortest() {
    // U+FF5E comes before U+1F600, although its UTF-16 form does not.
    let sorted = canonical("{\"\u{1f600}\":1,\"\u{ff5e}\":2}");
    assert_eq!(sorted, "{\"\u{ff5e}\":2,\"\u{1f600}\":1}");
    assert_eq!(canonical(r#"{"a":"\u000a\u001f\u002f\u007f"}"#), "{\"a\":\"\\n\\u001f/\u{7f}\"}");
}

#[test]
fn json_signatures_match() {
    let vectors = [
        (
            json!({}),
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
        ),
        (
            json!({ "one": 1, "two": "Two" }),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ];
    for (given, signature) in vectors {
        let mut signed = object(given.clone());
        key().sign_json(server_name!("domain"), &mut signed).expect("signed");
        let mut expected = given;
        expected["signatures"] = json!({ "domain": { "ed25519:1": signature } });
        assert_eq!(signed, object(expected));

        let keys = [("ed25519:1".to_owned(), Base64::parse(key().public_key()).expect("base64"))];
        let keys = [("domain".to_owned(), keys.into_iter().collect())].into_iter().collect();
        verify_json(&signed, server_name!("domain"), &keys).expect("valid");
        assert!(verify_json(&signed, server_name!("other"), &keys).is_err());
        signed.insert("one".to_owned(), CanonicalJsonValue::Integer(2.into()));
        assert!(verify_json(&signed, server_name!("domain"), &keys).is_err());
    }
}

#[test]
fn event_hashes_and_signatures_match() {
    let minimal = json!({
        "room_id": "!x:domain", "sender": "@a:domain", "origin": "domain",
        "origin_server_ts": 1_000_000, "signatures": {}, "hashes": {}, "type": "X", "content": {},
        "prev_events": [], "auth_events": [], "depth": 3, "unsigned": { "age_ts": 1_000_000 },
    });
    let message = json!({
        "content": { "body": "Here is the message content" }, "event_id": "$0:domain",
        "origin": "domain", "origin_server_ts": 1_000_000, "type": "m.room.message",
        "room_id": "!r:domain", "sender": "@u:domain", "signatures": {},
        "unsigned": { "age_ts": 1_000_000 },
    });
    let vectors = [
        (
            minimal,
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            message,
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ];
    for (given, hash, signature) in vectors {
        let mut event = object(given.clone());
        let rules = &RoomVersion::V3.rules().redaction;
        signatures::hash_and_sign_event("domain", &key(), &mut event, rules).expect("signed");
        let mut expected = given;
        expected["hashes"] = json!({ "sha256": hash });
        expected["signatures"] = json!({ "domain": { "ed25519:1": signature } });
        assert_eq!(event, object(expected));
    }
}

#[test]
fn a_key_is_read_and_written_as_one_line_of_text() {
    let key = key();
    assert_eq!(key.to_text(), "ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0");
    for same in [key.to_text(), format!("{}=\n", key.to_text())] {
        assert_eq!(SigningKey::from_text(&same).expect("a key").seed(), key.seed());
    }
    assert_eq!(key.key_id().as_str(), "ed25519:1");
    assert_eq!(key.name(), "1");
    assert_eq!(key.public_key(), "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
    assert_eq!(SigningKey::from_seed(key.seed(), "1").expect("a key").to_text(), key.to_text());
    assert!(!format!("{key:?}").contains(SEED));
    for bad in
        ["", "ed25519 1", "rsa 1 AAAA", "ed25519 1 AAAA", "ed25519 a-b AAAA", "ed25519 1 x y"]
    {
        assert!(SigningKey::from_text(bad).is_err(), "{bad:?}");
    }
    assert!(SigningKey::from_seed([1; 32], "a:b").is_err());
    assert!(SigningKey::from_seed([1; 32], "").is_err());
}

#[test]
fn redaction_keeps_what_each_version_protects() {
    let of = |version: RoomVersion, kind: &str, content: serde_json::Value| {
        let event = json!({
            "type": kind, "content": content, "origin": "domain", "membership": "join",
            "prev_state": [], "sender": "@a:domain", "room_id": "!r:domain", "redacts": "$x",
            "custom": 1, "depth": 1, "state_key": "", "hashes": {}, "signatures": {},
            "prev_events": [], "auth_events": [], "origin_server_ts": 1,
        });
        let bytes = serde_json::to_vec(&event).expect("serializable");
        let redacted = redact_json(&bytes, version).expect("redactable");
        serde_json::from_slice::<serde_json::Value>(&redacted).expect("JSON")
    };
    for version in RoomVersion::ALL {
        let new = version >= RoomVersion::V11;
        let message = of(version, "m.room.message", json!({ "body": "secret" }));
        assert_eq!(message["content"], json!({}), "{version}");
        for gone in ["redacts", "custom", "unsigned"] {
            assert!(message.get(gone).is_none(), "{version} {gone}");
        }
        for old in ["origin", "membership", "prev_state"] {
            assert_eq!(message.get(old).is_none(), new, "{version} {old}");
        }
        let create = of(version, "m.room.create", json!({ "creator": "@a:domain", "x": 1 }));
        let expected = if new {
            json!({ "creator": "@a:domain", "x": 1 })
        } else {
            json!({ "creator": "@a:domain" })
        };
        assert_eq!(create["content"], expected, "{version}");
        let power = of(
            version,
            "m.room.power_levels",
            json!({ "ban": 1, "invite": 2, "notifications": {} }),
        );
        let expected = if new { json!({ "ban": 1, "invite": 2 }) } else { json!({ "ban": 1 }) };
        assert_eq!(power["content"], expected, "{version}");
        let rules = of(version, "m.room.join_rules", json!({ "join_rule": "x", "allow": [] }));
        assert_eq!(
            rules["content"].get("allow").is_some(),
            version >= RoomVersion::V8,
            "{version}"
        );
        let member = json!({
            "membership": "join", "join_authorised_via_users_server": "@b:domain",
            "displayname": "x", "third_party_invite": { "signed": {}, "display_name": "y" },
        });
        let member = of(version, "m.room.member", member);
        let mut expected = json!({ "membership": "join" });
        if version >= RoomVersion::V9 {
            expected["join_authorised_via_users_server"] = json!("@b:domain");
        }
        if new {
            expected["third_party_invite"] = json!({ "signed": {} });
        }
        assert_eq!(member["content"], expected, "{version}");
        let aliases = of(version, "m.room.aliases", json!({ "aliases": ["#a:domain"] }));
        assert_eq!(
            aliases["content"].get("aliases").is_some(),
            version < RoomVersion::V6,
            "{version}"
        );
        let redaction = of(version, "m.room.redaction", json!({ "redacts": "$x", "reason": "y" }));
        let expected = if new { json!({ "redacts": "$x" }) } else { json!({}) };
        assert_eq!(redaction["content"], expected, "{version}");
    }
}
