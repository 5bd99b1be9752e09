//! One event held against the rules of users.

use std::{
    ops::RangeBounds,
    sync::{Arc, OnceLock},
};

use ruma::{
    UInt, UserId,
    push::{
        Action, AnyPushRuleRef, ConditionalPushRule, PushCondition, RoomMemberCountIs, Ruleset,
    },
};
use serde_json::Value;
use vestibule_events::{Pdu, PduError, Unsigned, client_event};

use super::{
    glob::{contains_words, matches_value, matches_words},
    property::{is_same, property},
    room::RoomFacts,
};

/// An event, read once for everybody it may concern.
#[derive(Debug)]
pub(crate) struct Occasion {
    event: Value,
    facts: Arc<RoomFacts>,
    /// The body in small letters; `None` when there is none.
    body: OnceLock<Option<String>>,
}

/// For whom an event is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) user: &'a UserId,
    /// What they are called in the room. Needed only where a rule asks for it.
    pub(crate) display_name: Option<&'a str>,
}

impl Occasion {
    pub(crate) fn new(event: &Pdu, facts: Arc<RoomFacts>) -> Result<Self, PduError> {
        let shown = client_event(event, true, &Unsigned::default())?;
        // What was parsed once can be parsed again.
        Ok(Self::of(serde_json::from_str(shown.get()).unwrap_or_default(), facts))
    }

    fn of(event: Value, facts: Arc<RoomFacts>) -> Self {
        Self { event, facts, body: OnceLock::new() }
    }

    /// What the first rule that matches wants; nothing for one's own events.
    pub(crate) fn actions<'r>(&self, rules: &'r Ruleset, whose: Whose<'_>) -> &'r [Action] {
        self.rule(rules, whose).map(AnyPushRuleRef::actions).unwrap_or_default()
    }

    /// The first rule that matches.
    fn rule<'r>(&self, rules: &'r Ruleset, whose: Whose<'_>) -> Option<AnyPushRuleRef<'r>> {
        if self.text("sender") == Some(whose.user.as_str()) {
            return None;
        }
        rules.iter().find(|rule| rule.enabled() && self.meets(*rule, whose))
    }

    fn meets(&self, rule: AnyPushRuleRef<'_>, whose: Whose<'_>) -> bool {
        match rule {
            AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => {
                self.meets_all(rule, whose)
            }
            AnyPushRuleRef::Content(rule) => self.says(&rule.pattern),
            AnyPushRuleRef::Room(rule) => self.text("room_id") == Some(rule.rule_id.as_str()),
            AnyPushRuleRef::Sender(rule) => self.text("sender") == Some(rule.rule_id.as_str()),
            _ => false,
        }
    }

    fn meets_all(&self, rule: &ConditionalPushRule, whose: Whose<'_>) -> bool {
        rule.conditions.iter().all(|condition| self.holds(condition, whose))
    }

    #[expect(deprecated, reason = "one of the conditions is, and must still work")]
    fn holds(&self, condition: &PushCondition, whose: Whose<'_>) -> bool {
        match condition {
            PushCondition::EventMatch(it) if it.key == "content.body" => self.says(&it.pattern),
            PushCondition::EventMatch(it) => {
                self.text(&it.key).is_some_and(|value| matches_value(&it.pattern, value))
            }
            PushCondition::EventPropertyIs(it) => {
                property(&self.event, &it.key).is_some_and(|value| is_same(value, &it.value))
            }
            PushCondition::EventPropertyContains(it) => property(&self.event, &it.key)
                .and_then(Value::as_array)
                .is_some_and(|values| values.iter().any(|value| is_same(value, &it.value))),
            PushCondition::ContainsDisplayName => {
                let name = whose.display_name.filter(|name| !name.is_empty());
                name.zip(self.body()).is_some_and(|(name, body)| contains_words(name, body))
            }
            PushCondition::RoomMemberCount(it) => counts(&it.is, self.facts.members),
            PushCondition::SenderNotificationPermission(it) => {
                let sender = self.text("sender").and_then(|id| <&UserId>::try_from(id).ok());
                sender.is_some_and(|sender| self.facts.may_notify(sender, &it.key))
            }
            // What nobody knows never holds.
            _ => false,
        }
    }

    /// Whether the body has something in it that a pattern matches, as words.
    fn says(&self, pattern: &str) -> bool {
        self.body().is_some_and(|body| matches_words(pattern, body))
    }

    fn body(&self) -> Option<&str> {
        let body = || self.text("content.body").map(str::to_lowercase);
        self.body.get_or_init(body).as_deref()
    }

    fn text(&self, path: &str) -> Option<&str> {
        property(&self.event, path)?.as_str()
    }
}

fn counts(is: &RoomMemberCountIs, members: u64) -> bool {
    UInt::try_from(members).is_ok_and(|members| is.contains(&members))
}

#[cfg(test)]
mod tests;
