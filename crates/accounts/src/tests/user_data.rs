//! Account data, tags, push rules, filters.

use ruma::{
    OwnedRoomId,
    push::{Action, NewPushRule, NewSimplePushRule, RuleKind},
    room_id,
};
use serde_json::{Map, Value, json};
use vestibule_storage::{
    SlotNo, Stamp,
    tables::{
        room::{STREAM, StoredNews},
        user_data::{ACCOUNT_DATA, PROFILE_FIELD, StoredUserChange, USER_CHANGE},
    },
};
use vestibule_types::limits;

use super::*;
use crate::{
    ChangePushRuleError, CreateFilterError, PutAccountData, PutPushRule, SetAccountDataError,
    SetTagError,
};

async fn put(
    house: &House,
    actor: &Actor,
    room_id: Option<OwnedRoomId>,
    event_type: &str,
    content: &str,
) -> Result<(), SetAccountDataError> {
    let command = PutAccountData {
        user_id: actor.user_id().to_owned(),
        room_id,
        event_type: event_type.to_owned(),
        content: content.to_owned(),
        peer: None,
    };
    house.accounts.put_account_data(actor, command).await
}

async fn get(
    house: &House,
    actor: &Actor,
    room_id: Option<OwnedRoomId>,
    event_type: &str,
) -> Option<String> {
    let kind = event_type.to_owned();
    house.accounts.account_data(actor, actor.user_id(), room_id, kind).await.unwrap()
}

async fn changes(house: &House, actor: &Actor) -> Vec<(Stamp, StoredUserChange)> {
    let user_id = actor.user_id().to_owned();
    let rows = house.store.read(move |read| USER_CHANGE.scan(read, (user_id,), 100)).await;
    rows.unwrap().into_iter().map(|((_, stamp), change)| (stamp, change)).collect()
}

#[tokio::test]
async fn account_data_is_kept_as_it_came_and_apart_by_room() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let actor = house.person("alice").await;
        let room = room_id!("!r:a.example").to_owned();
        assert_eq!(get(&house, &actor, None, "org.x").await, None);
        put(&house, &actor, None, "org.x", r#"{"b": 1,  "a":1.5}"#).await.unwrap();
        put(&house, &actor, Some(room.clone()), "org.x", "{}").await.unwrap();
        assert_eq!(get(&house, &actor, None, "org.x").await.unwrap(), r#"{"b": 1,  "a":1.5}"#);
        assert_eq!(get(&house, &actor, Some(room), "org.x").await.unwrap(), "{}");
    }
}

#[tokio::test]
async fn followers_find_each_item_once_at_its_newest_change() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let actor = house.person("alice").await;
        put(&house, &actor, None, "org.x", r#"{"v":1}"#).await.unwrap();
        put(&house, &actor, None, "org.y", "{}").await.unwrap();
        let before = changes(&house, &actor).await;
        put(&house, &actor, None, "org.x", r#"{"v":2}"#).await.unwrap();
        let after = changes(&house, &actor).await;
        let types = |changes: &[(Stamp, StoredUserChange)]| -> Vec<String> {
            changes
                .iter()
                .map(|(_, StoredUserChange::AccountData { event_type, .. })| event_type.clone())
                .collect()
        };
        assert_eq!(types(&before), ["org.x", "org.y"]);
        assert_eq!(types(&after), ["org.y", "org.x"]);
        let newest = after[1].0;
        assert!(newest > before[1].0);

        let slot = house.store.slot_of_user(actor.user_id());
        let (user, SlotNo(number)) = (actor.user_id().to_owned(), slot);
        let (row, news) = house
            .store
            .read(move |read| {
                let row = ACCOUNT_DATA.get(read, (&user, "", "org.x"))?;
                Ok::<_, StorageError>((row, STREAM.get(read, (number, newest))?))
            })
            .await
            .unwrap();
        assert_eq!(row.unwrap().stamp, newest, "the item carries the stamp of its change");
        let user = actor.user_id().to_owned();
        assert_eq!(news, Some(StoredNews::User { user }), "and the stream tells of it");
        assert_eq!(house.store.positions().get(slot), newest.commit);
    }
}

#[tokio::test]
async fn some_types_are_the_servers_and_others_peoples_own() {
    let house = house();
    let actor = house.person("alice").await;
    let bob = house.person("bob").await;
    for kind in ["m.push_rules", "m.fully_read"] {
        let refused = put(&house, &actor, None, kind, "{}").await;
        assert!(matches!(refused, Err(SetAccountDataError::ServerControlled)), "{kind}");
    }
    let command = PutAccountData {
        user_id: bob.user_id().to_owned(),
        room_id: None,
        event_type: "org.x".to_owned(),
        content: "{}".to_owned(),
        peer: None,
    };
    let refused = house.accounts.put_account_data(&actor, command).await;
    assert!(matches!(refused, Err(SetAccountDataError::NotOwn)));
    let kind = "org.x".to_owned();
    let refused = house.accounts.account_data(&actor, bob.user_id(), None, kind).await;
    assert!(matches!(refused, Err(SetAccountDataError::NotOwn)));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::ACCOUNT_DATA_BYTES_MAX));
    let refused = put(&house, &actor, None, "org.x", &large).await;
    assert!(matches!(refused, Err(SetAccountDataError::TooLarge)));
}

#[tokio::test]
async fn all_account_data_of_a_user_together_is_bounded() {
    let house = house();
    let actor = house.person("alice").await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::ACCOUNT_DATA_BYTES_MAX - 8));
    let length = u64::try_from(large.len()).unwrap();
    let fit = limits::ACCOUNT_DATA_TOTAL_BYTES_MAX / length;
    for it in 0..fit {
        put(&house, &actor, None, &format!("org.{it}"), &large).await.unwrap();
    }
    let refused = put(&house, &actor, None, "org.more", &large).await;
    assert!(matches!(refused, Err(SetAccountDataError::TooLarge)), "{refused:?}");
    put(&house, &actor, None, "org.0", &large).await.unwrap();
    for kind in ["org.0", "org.1"] {
        put(&house, &actor, None, kind, "{}").await.unwrap();
    }
    put(&house, &actor, None, "org.more", &large).await.unwrap();
}

#[tokio::test]
async fn a_guest_keeps_no_account_data_by_default() {
    let house = house();
    let guest = house.guest().await;
    let actor = house.actor(&guest.session.unwrap()).await;
    let refused = put(&house, &actor, None, "org.x", "{}").await;
    assert!(matches!(refused, Err(SetAccountDataError::Denied(_))), "{refused:?}");
    assert_eq!(get(&house, &actor, None, "org.x").await, None);
}

#[tokio::test]
async fn the_read_marker_is_account_data_of_its_room() {
    let house = house();
    let actor = house.person("alice").await;
    let room = room_id!("!r:a.example");
    let event = ruma::event_id!("$e");
    house.accounts.set_fully_read(actor.user_id(), room, event).await.unwrap();
    let content = get(&house, &actor, Some(room.to_owned()), "m.fully_read").await;
    assert_eq!(content.unwrap(), r#"{"event_id":"$e"}"#);
}

fn info(order: f64) -> Option<Map<String, Value>> {
    json!({ "order": order }).as_object().cloned()
}

#[tokio::test]
async fn tags_are_set_replaced_and_removed() {
    let house = house();
    let actor = house.person("alice").await;
    let key = || (actor.user_id().to_owned(), room_id!("!r:a.example").to_owned());
    let set = async |tag: &str, info| {
        house.accounts.set_tag(&actor, key(), (tag.to_owned(), info), None).await
    };
    let tags = async || {
        let (user, room) = key();
        Value::Object(house.accounts.tags(&actor, user, room).await.unwrap())
    };
    set("m.favourite", info(0.25)).await.unwrap();
    set("u.work", info(0.5)).await.unwrap();
    set("u.work", info(0.75)).await.unwrap();
    assert_eq!(tags().await, json!({"m.favourite": {"order": 0.25}, "u.work": {"order": 0.75}}));
    set("m.favourite", None).await.unwrap();
    set("m.favourite", None).await.unwrap();
    assert_eq!(tags().await, json!({"u.work": {"order": 0.75}}));
    assert_eq!(changes(&house, &actor).await.len(), 1);
    let refused = set(&"x".repeat(256), info(0.0)).await;
    assert!(matches!(refused, Err(SetTagError::TooLong)));
    for number in 1..limits::TAGS_PER_ROOM_MAX {
        set(&format!("u.{number}"), info(0.0)).await.unwrap();
    }
    assert!(matches!(set("u.late", info(0.0)).await, Err(SetTagError::TooMany)));
}

fn quiet(room: &str) -> PutPushRule {
    let rule = NewSimplePushRule::new(OwnedRoomId::try_from(room).unwrap(), vec![]);
    PutPushRule { rule: NewPushRule::Room(rule), after: None, before: None }
}

#[tokio::test]
async fn push_rules_begin_as_the_specification_says() {
    let house = house();
    let actor = house.person("alice").await;
    let rules = json!(house.accounts.push_rules(actor.user_id()).await.unwrap());
    let ids = |kind: &str| -> Vec<String> {
        let rules = rules[kind].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule["rule_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        ids("override"),
        [
            ".m.rule.master",
            ".m.rule.suppress_notices",
            ".m.rule.invite_for_me",
            ".m.rule.member_event",
            ".m.rule.is_user_mention",
            ".m.rule.is_room_mention",
            ".m.rule.tombstone",
            ".m.rule.reaction",
            ".m.rule.room.server_acl",
            ".m.rule.suppress_edits",
        ]
    );
    assert_eq!(
        ids("underride"),
        [
            ".m.rule.call",
            ".m.rule.encrypted_room_one_to_one",
            ".m.rule.room_one_to_one",
            ".m.rule.message",
            ".m.rule.encrypted",
        ]
    );
    assert!(ids("content").is_empty());
    let stored = get(&house, &actor, None, "m.push_rules").await.unwrap();
    let mut shown = json!({ "global": rules });
    // Every kind is there, also without a rule.
    for kind in ["content", "room", "sender"] {
        shown["global"][kind] = json!([]);
    }
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), shown);
}

#[tokio::test]
async fn push_rules_are_added_switched_changed_and_removed() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let actor = house.person("alice").await;
        let accounts = &house.accounts;
        let room = || (RuleKind::Room, "!r:a.example".to_owned());
        let rules = async || accounts.push_rules(actor.user_id()).await.unwrap();

        accounts.put_push_rule(&actor, quiet("!r:a.example")).await.unwrap();
        assert!(rules().await.get(RuleKind::Room, "!r:a.example").unwrap().enabled());
        accounts.enable_push_rule(&actor, room(), false).await.unwrap();
        assert!(!rules().await.get(RuleKind::Room, "!r:a.example").unwrap().enabled());
        let actions = vec![Action::Notify];
        accounts.set_push_rule_actions(&actor, room(), actions.clone()).await.unwrap();
        let after = rules().await;
        let changed = after.get(RuleKind::Room, "!r:a.example").unwrap();
        assert_eq!(json!(changed.actions()), json!(actions));
        accounts.delete_push_rule(&actor, RuleKind::Room, room().1).await.unwrap();
        assert!(rules().await.get(RuleKind::Room, "!r:a.example").is_none());
        let gone = accounts.delete_push_rule(&actor, RuleKind::Room, room().1).await;
        assert!(matches!(gone, Err(ChangePushRuleError::Unknown)));
        let gone = accounts.enable_push_rule(&actor, room(), true).await;
        assert!(matches!(gone, Err(ChangePushRuleError::Unknown)));

        // A default rule is switched and changed, and not removed.
        let master = || (RuleKind::Override, ".m.rule.master".to_owned());
        accounts.enable_push_rule(&actor, master(), true).await.unwrap();
        assert!(rules().await.get(RuleKind::Override, ".m.rule.master").unwrap().enabled());
        let (kind, id) = master();
        let kept = accounts.delete_push_rule(&actor, kind, id).await;
        assert!(matches!(kept, Err(ChangePushRuleError::Invalid(_))));
        assert_eq!(changes(&house, &actor).await.len(), 1, "all of it is one item");
    }
}

#[tokio::test]
async fn a_filter_is_named_after_its_content_and_shown_as_it_came() {
    let house = house();
    let actor = house.person("alice").await;
    let user = || actor.user_id().to_owned();
    let filter = |value: Value| value.as_object().cloned().unwrap();
    let first = filter(json!({ "room": { "timeline": { "limit": 5 } }, "org.x": [1] }));
    let id = house.accounts.create_filter(&actor, user(), first.clone()).await.unwrap();
    let again = house.accounts.create_filter(&actor, user(), first.clone()).await.unwrap();
    assert_eq!(id, again);
    let json = house.accounts.filter(&actor, &user(), &id).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), Value::Object(first));
    assert_eq!(house.accounts.filter(&actor, &user(), "none").await.unwrap(), None);
    let bob = house.person("bob").await;
    let refused = house.accounts.create_filter(&bob, user(), Map::new()).await;
    assert!(matches!(refused, Err(CreateFilterError::NotOwn)));
}

#[tokio::test]
async fn only_so_many_filters_are_kept_and_the_oldest_goes() {
    let house = house();
    let actor = house.person("alice").await;
    let mut ids = Vec::new();
    for limit in 0..=limits::FILTERS_PER_USER_MAX {
        let filter = json!({ "room": { "timeline": { "limit": limit } } });
        let filter = filter.as_object().cloned().unwrap();
        let user = actor.user_id().to_owned();
        ids.push(house.accounts.create_filter(&actor, user, filter).await.unwrap());
        house.time.clock.advance(std::time::Duration::from_millis(1));
    }
    let there = async |id: &str| {
        house.accounts.filter(&actor, actor.user_id(), id).await.unwrap().is_some()
    };
    assert!(!there(&ids[0]).await);
    assert!(there(&ids[1]).await);
    assert!(there(ids.last().unwrap()).await);
}

#[tokio::test]
async fn the_end_of_an_account_takes_its_data_and_only_erasing_its_profile() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let alice = house.person("alice").await;
        profiles::set(&house, &alice, "displayname", "Ada").await.unwrap();
        put(&house, &alice, None, "org.x", "{}").await.unwrap();
        let left = async || {
            let user = alice.user_id().to_owned();
            house.store.read(move |read| ACCOUNT_DATA.scan(read, (&user,), 10)).await.unwrap()
        };
        assert_eq!(left().await.len(), 1);
        let profile = async || {
            let user = alice.user_id().to_owned();
            house.store.read(move |read| PROFILE_FIELD.scan(read, (&user,), 10)).await.unwrap()
        };
        house.accounts.deactivate_account(alice.user_id(), false).await.unwrap();
        assert_eq!((left().await.len(), profile().await.len()), (0, 1));
        house.accounts.deactivate_account(alice.user_id(), true).await.unwrap();
        assert_eq!(profile().await.len(), 0);
    }
}
