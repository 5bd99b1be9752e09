//! What a user said of a room, said of its successor too (client-server API, "Room upgrades").

use ruma::{
    OwnedUserId, RoomId,
    push::{
        ConditionalPushRule, NewConditionalPushRule, NewPushRule, NewSimplePushRule, PushCondition,
        RuleKind, Ruleset,
    },
};
use serde_json::{Value, json};
use vestibule_storage::{StorageError, Tx};

use super::{
    SetAccountDataError,
    account_data::{self, Item},
    push_rule,
    tag::TAG,
};

/// The type of the list of direct chats.
const DIRECT: &str = "m.direct";

/// Gives the successor of a room the tags, the place among the direct chats and the push rules that a
/// user gave the room, where it has none. What does not fit any more is left out. The transaction must
/// be in the user's slot.
pub fn follow_room(
    tx: &mut Tx<'_>,
    user: &OwnedUserId,
    (old, new): (&RoomId, &RoomId),
) -> Result<(), StorageError> {
    let tags = |room_id| Item { room_id: Some(room_id), kind: TAG };
    if let Some(content) = account_data::get(tx, user, &tags(old))?
        && account_data::get(tx, user, &tags(new))?.is_none()
    {
        as_far_as_fits(account_data::put(tx, user, &tags(new), content))?;
    }
    let direct = Item { room_id: None, kind: DIRECT };
    if let Some(content) = account_data::get(tx, user, &direct)?
        && let Some(content) = with_successor(&content, (old, new))
    {
        as_far_as_fits(account_data::put(tx, user, &direct, content))?;
    }
    push_rule::change_where(tx, user, |rules| copy_rules(rules, (old, new)))
}

fn as_far_as_fits(put: Result<(), SetAccountDataError>) -> Result<(), StorageError> {
    match put {
        Err(SetAccountDataError::Storage(error)) => Err(error),
        _ => Ok(()),
    }
}

/// The direct chats with the new room wherever the old one stands; `None` when nothing changes.
fn with_successor(content: &str, (old, new): (&RoomId, &RoomId)) -> Option<String> {
    let mut content: Value = serde_json::from_str(content).ok()?;
    let mut changed = false;
    for rooms in content.as_object_mut()?.values_mut().filter_map(Value::as_array_mut) {
        let stands = |room: &RoomId| rooms.iter().any(|it| it.as_str() == Some(room.as_str()));
        if stands(old) && !stands(new) {
            rooms.push(json!(new));
            changed = true;
        }
    }
    changed.then(|| content.to_string())
}

/// Says whether there are more rules now.
fn copy_rules(rules: &mut Ruleset, (old, new): (&RoomId, &RoomId)) -> bool {
    let mut copies: Vec<(NewPushRule, RuleKind, String, bool)> = Vec::new();
    if let Some(rule) = rules.room.get(old.as_str())
        && !rules.room.contains(new.as_str())
    {
        let copy = NewSimplePushRule::new(new.to_owned(), rule.actions.clone());
        copies.push((NewPushRule::Room(copy), RuleKind::Room, new.to_string(), rule.enabled));
    }
    for (kind, list) in
        [(RuleKind::Override, &rules.override_), (RuleKind::Underride, &rules.underride)]
    {
        for rule in list {
            let Some(copy) = copied(rule, (old, new)).filter(|it| !list.contains(&*it.rule_id))
            else {
                continue;
            };
            let id = copy.rule_id.clone();
            let copy = match kind {
                RuleKind::Override => NewPushRule::Override(copy),
                _ => NewPushRule::Underride(copy),
            };
            copies.push((copy, kind.clone(), id, rule.enabled));
        }
    }
    let mut more = false;
    for (rule, kind, id, enabled) in copies {
        more |= rules.insert(rule, None, None).is_ok()
            && (enabled || rules.set_enabled(kind, &id, false).is_ok());
    }
    more
}

/// A rule that is about the old room by its condition and its name, for the new one.
fn copied(
    rule: &ConditionalPushRule,
    (old, new): (&RoomId, &RoomId),
) -> Option<NewConditionalPushRule> {
    let (mut conditions, mut found) = (Vec::new(), false);
    for condition in &rule.conditions {
        let mut condition = condition.clone();
        if let PushCondition::EventMatch(wanted) = &mut condition
            && wanted.key == "room_id"
            && wanted.pattern == old.as_str()
        {
            wanted.pattern = new.to_string();
            found = true;
        }
        conditions.push(condition);
    }
    let id = rule.rule_id.replace(old.as_str(), new.as_str());
    (found && id != rule.rule_id)
        .then(|| NewConditionalPushRule::new(id, conditions, rule.actions.clone()))
}
