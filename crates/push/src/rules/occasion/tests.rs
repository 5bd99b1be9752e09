//! Every default rule and every condition, against events that meet them and events that do not.

use std::collections::BTreeMap;

use ruma::{
    Int, UserId, int, owned_user_id,
    power_levels::NotificationPowerLevels,
    push::PushConditionPowerLevelsCtx,
    room_version_rules::{AuthorizationRules, RoomPowerLevelsRules},
    user_id,
};
use serde_json::{Map, json};

use super::*;
use crate::rules::{Rules, highlights, notifies, tweaks};

const ME: &str = "@me:a.example";

fn me() -> &'static UserId {
    user_id!("@me:a.example")
}

/// A room of so many, where `@mod:a.example` may notify everybody.
fn facts(members: u64) -> RoomFacts {
    let rules = RoomPowerLevelsRules::new(&AuthorizationRules::V6, None::<ruma::OwnedUserId>);
    let levels = PushConditionPowerLevelsCtx::new(
        BTreeMap::from([(owned_user_id!("@mod:a.example"), int!(50))]),
        Int::from(0),
        NotificationPowerLevels::new(),
        rules,
    );
    RoomFacts { members, levels: Some(levels) }
}

/// An event of `@you:a.example` in a room, changed as the test wants.
fn event(changes: Value) -> Value {
    let mut event = json!({
        "type": "m.room.message",
        "sender": "@you:a.example",
        "room_id": "!room:a.example",
        "event_id": "$event",
        "content": {},
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    event.as_object_mut().unwrap().extend(changes);
    event
}

/// The rule that an event meets in a room of so many, and its actions.
fn met(rules: &Rules, event: Value, members: u64) -> Option<(String, Vec<Action>)> {
    let occasion = Occasion::of(event, facts(members).into());
    let whose = Whose { user: me(), display_name: Some("Mimi *") };
    let rule = occasion.rule(&rules.0, whose)?;
    Some((rule.rule_id().to_owned(), rule.actions().to_vec()))
}

fn defaults_with(changes: &[(&str, Value)]) -> Rules {
    let mut global = serde_json::to_value(Rules::of(me(), None).0).unwrap();
    for (kind, rules) in changes {
        let Value::Array(mut all) = rules.clone() else { panic!("rules are a list") };
        all.extend(global[*kind].as_array().cloned().unwrap_or_default());
        global[*kind] = all.into();
    }
    Rules::of(me(), Some(&json!({ "global": global }).to_string()))
}

/// One user-defined rule of a kind, that notifies.
fn with_rule(kind: &str, rule: Value) -> Rules {
    let mut whole = json!({
        "rule_id": "mine", "actions": ["notify"], "default": false, "enabled": true,
    });
    let Value::Object(rule) = rule else { panic!("a rule is an object") };
    whole.as_object_mut().unwrap().extend(rule);
    defaults_with(&[(kind, json!([whole]))])
}

#[test]
fn each_default_rule_is_met_by_its_events() {
    let mention = |mentions: Value| json!({ "body": "hi", "m.mentions": mentions });
    let member = |membership: &str, of: &str| {
        json!({
            "type": "m.room.member", "state_key": of, "content": { "membership": membership },
        })
    };
    let state = |kind: &str, key: &str| json!({ "type": kind, "state_key": key });
    let table = [
        (json!({ "content": { "msgtype": "m.notice" } }), 2, ".m.rule.suppress_notices", ""),
        (member("invite", ME), 9, ".m.rule.invite_for_me", "sound"),
        (member("invite", "@you:a.example"), 9, ".m.rule.member_event", ""),
        (member("join", ME), 9, ".m.rule.member_event", ""),
        (
            json!({ "content": mention(json!({ "user_ids": ["@x:a.example", ME] })) }),
            9,
            ".m.rule.is_user_mention",
            "sound highlight",
        ),
        (
            json!({ "sender": "@mod:a.example", "content": mention(json!({ "room": true })) }),
            9,
            ".m.rule.is_room_mention",
            "highlight",
        ),
        (json!({ "content": mention(json!({ "room": true })) }), 9, ".m.rule.message", "notify"),
        (
            json!({ "sender": "@mod:a.example", "content": mention(json!({ "room": "true" })) }),
            9,
            ".m.rule.message",
            "notify",
        ),
        (state("m.room.tombstone", ""), 9, ".m.rule.tombstone", "highlight"),
        (json!({ "type": "m.reaction" }), 2, ".m.rule.reaction", ""),
        (state("m.room.server_acl", ""), 9, ".m.rule.room.server_acl", ""),
        (
            json!({ "content": { "m.relates_to": { "rel_type": "m.replace" } } }),
            2,
            ".m.rule.suppress_edits",
            "",
        ),
        (json!({ "type": "m.call.invite" }), 2, ".m.rule.call", "ring"),
        (json!({ "type": "m.room.encrypted" }), 2, ".m.rule.encrypted_room_one_to_one", "sound"),
        (json!({}), 2, ".m.rule.room_one_to_one", "sound"),
        (json!({}), 3, ".m.rule.message", "notify"),
        (json!({ "type": "m.room.encrypted" }), 3, ".m.rule.encrypted", "notify"),
    ];
    let rules = Rules::of(me(), None);
    for (changes, members, expected, what) in table {
        let (rule, actions) = met(&rules, event(changes), members).unwrap();
        assert_eq!(rule, expected);
        let mut wanted = Map::new();
        if what.contains("sound") {
            wanted.insert("sound".to_owned(), "default".into());
        }
        if what.contains("ring") {
            wanted.insert("sound".to_owned(), "ring".into());
        }
        if what.contains("highlight") {
            wanted.insert("highlight".to_owned(), true.into());
        }
        assert_eq!(tweaks(&actions), wanted, "{rule}");
        assert_eq!(notifies(&actions), !what.is_empty(), "{rule}");
        assert_eq!(highlights(&actions), what.contains("highlight"), "{rule}");
    }
}

#[test]
fn what_no_rule_is_about_meets_none() {
    let rules = Rules::of(me(), None);
    assert!(met(&rules, event(json!({ "type": "org.x" })), 2).is_none());
    // A tombstone that is no state, or none of this room.
    assert!(met(&rules, event(json!({ "type": "m.room.tombstone" })), 2).is_none());
    // The bodies that older versions looked into are no mentions.
    let body = json!({ "content": { "body": "me: Mimi * @room" } });
    assert_eq!(met(&rules, event(body), 9).unwrap().0, ".m.rule.message");
}

#[test]
fn ones_own_events_meet_no_rule() {
    let rules = with_rule("override", json!({ "conditions": [] }));
    assert!(met(&rules, event(json!({ "sender": ME })), 2).is_none());
}

#[test]
fn the_master_rule_comes_before_all_others() {
    let mut rules = with_rule("override", json!({ "conditions": [] }));
    assert_eq!(met(&rules, event(json!({})), 2).unwrap().0, "mine");
    rules.0.set_enabled(ruma::push::RuleKind::Override, ".m.rule.master", true).unwrap();
    let (rule, actions) = met(&rules, event(json!({})), 2).unwrap();
    assert_eq!((rule.as_str(), notifies(&actions)), (".m.rule.master", false));
}

#[test]
fn kinds_are_checked_in_their_order() {
    let plain =
        |id: &str| json!([{ "rule_id": id, "actions": [], "default": false, "enabled": true }]);
    let content = json!([{
        "rule_id": "words", "pattern": "cake", "actions": [], "default": false, "enabled": true,
    }]);
    let conditional = |id: &str| {
        json!([{
            "rule_id": id, "conditions": [], "actions": [], "default": false, "enabled": true,
        }])
    };
    let mut changes = vec![
        ("override", conditional("over")),
        ("content", content),
        ("room", plain("!room:a.example")),
        ("sender", plain("@you:a.example")),
        ("underride", conditional("under")),
    ];
    let expected = ["over", "words", "!room:a.example", "@you:a.example", "under"];
    for wanted in expected {
        let rules = defaults_with(&changes);
        let cake = event(json!({ "content": { "body": "A Cake!" } }));
        assert_eq!(met(&rules, cake, 2).unwrap().0, wanted);
        changes.remove(0);
    }
}

#[test]
fn room_and_sender_rules_are_about_theirs_only() {
    for (kind, id) in [("room", "!other:a.example"), ("sender", "@other:a.example")] {
        let rules = with_rule(kind, json!({ "rule_id": id }));
        assert_eq!(met(&rules, event(json!({})), 3).unwrap().0, ".m.rule.message", "{kind}");
    }
}

#[test]
fn conditions_hold_as_the_specification_says() {
    let content = json!({
        "body": "Say mimi * to an example",
        "topic": "Lunch plans",
        "m.federate": true,
        "n": 7,
        "none": null,
        "list": ["a", 1, { "b": 2 }],
    });
    let table = [
        (json!({ "kind": "event_match", "key": "content.topic", "pattern": "lunc?*" }), true),
        (json!({ "kind": "event_match", "key": "content.topic", "pattern": "plans" }), false),
        (json!({ "kind": "event_match", "key": "content.n", "pattern": "*" }), false),
        (json!({ "kind": "event_match", "key": "content.absent", "pattern": "*" }), false),
        (json!({ "kind": "event_match", "key": "content.body", "pattern": "ex*ple" }), true),
        (json!({ "kind": "event_match", "key": "content.body", "pattern": "xample" }), false),
        (json!({ "kind": "event_match", "key": "room_id", "pattern": "!room:*" }), true),
        (
            json!({ "kind": "event_property_is", "key": r"content.m\.federate", "value": true }),
            true,
        ),
        (json!({ "kind": "event_property_is", "key": "content.n", "value": "7" }), false),
        (json!({ "kind": "event_property_is", "key": "content.n", "value": 7 }), true),
        (json!({ "kind": "event_property_is", "key": "content.none", "value": null }), true),
        (json!({ "kind": "event_property_is", "key": "content.list", "value": "a" }), false),
        (json!({ "kind": "event_property_contains", "key": "content.list", "value": 1 }), true),
        (json!({ "kind": "event_property_contains", "key": "content.list", "value": "1" }), false),
        (json!({ "kind": "event_property_contains", "key": "content.topic", "value": "L" }), false),
        (json!({ "kind": "contains_display_name" }), true),
        (json!({ "kind": "room_member_count", "is": "4" }), true),
        (json!({ "kind": "room_member_count", "is": "==4" }), true),
        (json!({ "kind": "room_member_count", "is": "<4" }), false),
        (json!({ "kind": "room_member_count", "is": "<=4" }), true),
        (json!({ "kind": "room_member_count", "is": ">4" }), false),
        (json!({ "kind": "room_member_count", "is": ">=4" }), true),
        (json!({ "kind": "sender_notification_permission", "key": "room" }), false),
        (json!({ "kind": "org.example.unknown", "key": "room" }), false),
    ];
    for (condition, expected) in table {
        let rules = with_rule("override", json!({ "conditions": [condition] }));
        let event = event(json!({ "content": content }));
        let holds = met(&rules, event, 4).unwrap().0 == "mine";
        assert_eq!(holds, expected, "{condition}");
    }
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let yes = json!({ "kind": "room_member_count", "is": ">1" });
    let no = json!({ "kind": "event_match", "key": "type", "pattern": "org.x" });
    let rules = with_rule("underride", json!({ "conditions": [yes, no] }));
    assert_eq!(met(&rules, event(json!({})), 3).unwrap().0, ".m.rule.message");
}

#[test]
fn actions_of_old_are_as_good_as_none() {
    let rules =
        with_rule("sender", json!({ "rule_id": "@you:a.example", "actions": ["dont_notify"] }));
    let (_, actions) = met(&rules, event(json!({})), 3).unwrap();
    assert!(!notifies(&actions));
    assert_eq!(tweaks(&actions), Map::new());
}

#[test]
fn rules_that_were_stored_by_an_older_version_get_the_defaults_of_this_one() {
    let stored = json!({ "global": { "override": [{
        "rule_id": ".m.rule.contains_display_name", "default": true, "enabled": true,
        "conditions": [{ "kind": "contains_display_name" }], "actions": ["notify"],
    }] } });
    let rules = Rules::of(me(), Some(&stored.to_string()));
    let said = json!({ "content": { "body": "mimi *" } });
    assert_eq!(met(&rules, event(said), 3).unwrap().0, ".m.rule.message");
}
