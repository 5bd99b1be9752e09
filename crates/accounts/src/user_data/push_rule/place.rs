//! Where a push rule stands among others, and what may be one.

use ruma::push::{Action, NewPushRule, PushCondition, RuleKind, Ruleset};
use serde_json::Value;
use vestibule_types::limits::PUSH_PATTERN_LETTERS_MAX;

use super::ChangePushRuleError;

/// Names of actions, those included that once were some.
const ACTIONS: [&str; 4] =
    ["notify", "dont_notify", "coalesce", "org.matrix.msc3768.notify_in_app"];

/// Refuses what is no action.
pub(super) fn check_actions(actions: &[Action]) -> Result<(), ChangePushRuleError> {
    for action in actions {
        let known = match serde_json::to_value(action) {
            Ok(Value::String(name)) => ACTIONS.contains(&name.as_str()),
            Ok(Value::Object(tweak)) => tweak.get("set_tweak").is_some_and(Value::is_string),
            _ => false,
        };
        if !known {
            return Err(ChangePushRuleError::Invalid("there is no such action".to_owned()));
        }
    }
    Ok(())
}

/// Refuses what is no action, and rules that could never be met: a pattern with `*` or `?` has a bound.
pub(super) fn check(rule: &NewPushRule) -> Result<(), ChangePushRuleError> {
    let too_long = |pattern: &str| {
        pattern.contains(['*', '?']) && pattern.chars().count() > PUSH_PATTERN_LETTERS_MAX
    };
    let refused = match rule {
        NewPushRule::Content(rule) => too_long(&rule.pattern),
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => rule.conditions.iter().any(
            |it| matches!(it, PushCondition::EventMatch(condition) if too_long(&condition.pattern)),
        ),
        _ => false,
    };
    if refused {
        return Err(ChangePushRuleError::Invalid("the pattern is too long".to_owned()));
    }
    match rule {
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => check_actions(&rule.actions),
        NewPushRule::Content(rule) => check_actions(&rule.actions),
        NewPushRule::Room(rule) => check_actions(&rule.actions),
        NewPushRule::Sender(rule) => check_actions(&rule.actions),
        _ => Ok(()),
    }
}

/// Moves a rule that is there next to others. Of two neighbours the one it stands before counts, as
/// long as the other is there.
pub(super) fn arrange(
    rules: &mut Ruleset,
    (kind, rule_id): (RuleKind, &str),
    after: Option<&str>,
    before: Option<&str>,
) -> Result<(), ChangePushRuleError> {
    // The sets have no common type to be passed as.
    macro_rules! arrange_in {
        ($set:expr) => {{
            let set = $set;
            let place = |id: &str| set.get_index_of(id);
            if let Some((from, to)) = new_place(place, rule_id, (after, before))? {
                set.move_index(from, to);
            }
            Ok(())
        }};
    }
    match kind {
        RuleKind::Override => arrange_in!(&mut rules.override_),
        RuleKind::Underride => arrange_in!(&mut rules.underride),
        RuleKind::Sender => arrange_in!(&mut rules.sender),
        RuleKind::Room => arrange_in!(&mut rules.room),
        RuleKind::Content => arrange_in!(&mut rules.content),
        _ => Err(ChangePushRuleError::Unknown),
    }
}

/// From where to where a rule moves; `None` when it stays.
fn new_place(
    place: impl Fn(&str) -> Option<usize>,
    rule_id: &str,
    (after, before): (Option<&str>, Option<&str>),
) -> Result<Option<(usize, usize)>, ChangePushRuleError> {
    let from = place(rule_id).ok_or(ChangePushRuleError::Unknown)?;
    // Where a neighbour stands once the rule itself is taken out.
    let neighbour = |id: &str| {
        if id.starts_with('.') {
            let text = "a rule cannot stand beside one of the server's own".to_owned();
            return Err(ChangePushRuleError::Invalid(text));
        }
        let at = place(id).filter(|_| id != rule_id);
        let at = at.ok_or_else(|| ChangePushRuleError::UnknownNeighbour(id.to_owned()))?;
        Ok(if at > from { at - 1 } else { at })
    };
    let after = after.map(neighbour).transpose()?;
    let before = before.map(neighbour).transpose()?;
    Ok(before.or(after.map(|at| at + 1)).map(|to| (from, to)))
}

#[cfg(test)]
mod tests {
    use ruma::push::NewPatternedPushRule;

    use super::*;

    fn put(
        rules: &mut Ruleset,
        id: &str,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<(), ChangePushRuleError> {
        let rule = NewPatternedPushRule::new(id.to_owned(), id.to_owned(), Vec::new());
        rules.insert(NewPushRule::Content(rule), None, None)?;
        arrange(rules, (RuleKind::Content, id), after, before)
    }

    fn order(rules: &Ruleset) -> String {
        rules.content.iter().map(|rule| rule.rule_id.as_str()).collect()
    }

    #[test]
    fn a_rule_moves_next_to_its_neighbours_wherever_it_was() {
        for (id, after, before, expected) in [
            ("x", None, None, "xabc"),
            ("b", None, None, "abc"),
            ("x", Some("a"), None, "axbc"),
            ("x", Some("c"), None, "abcx"),
            ("x", None, Some("a"), "xabc"),
            ("x", None, Some("c"), "abxc"),
            ("a", Some("c"), None, "bca"),
            ("a", Some("b"), None, "bac"),
            ("c", Some("a"), None, "acb"),
            ("a", None, Some("c"), "bac"),
            ("c", None, Some("a"), "cab"),
            ("x", Some("a"), Some("c"), "abxc"),
        ] {
            let mut rules = Ruleset::new();
            for id in ["c", "b", "a"] {
                put(&mut rules, id, None, None).unwrap();
            }
            put(&mut rules, id, after, before).unwrap();
            assert_eq!(order(&rules), expected, "{id} {after:?} {before:?}");
        }
    }

    #[test]
    fn a_rule_stands_beside_rules_that_are_there_and_the_users_own() {
        let mut rules = Ruleset::new();
        put(&mut rules, "a", None, None).unwrap();
        for (after, before) in [(Some("none"), None), (None, Some("none")), (Some("b"), None)] {
            let refused = put(&mut rules, "b", after, before).unwrap_err();
            assert!(matches!(refused, ChangePushRuleError::UnknownNeighbour(_)), "{refused}");
        }
        let refused = put(&mut rules, "b", Some(".m.rule.master"), None).unwrap_err();
        assert!(matches!(refused, ChangePushRuleError::Invalid(_)), "{refused}");
    }
}
