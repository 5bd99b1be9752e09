//! The rules of one user, and whom they do not want to hear.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use moka::sync::Cache;
use ruma::{
    OwnedUserId, UserId,
    push::{AnyPushRuleRef, PushCondition, Ruleset},
};
use serde::Deserialize;
use serde_json::Value;
use vestibule_storage::{Read, Stamp, StorageError, tables::user_data::ACCOUNT_DATA};
use vestibule_types::limits::RULESETS_READY_MAX;

const PUSH_RULES: &str = "m.push_rules";
const IGNORED_USERS: &str = "m.ignored_user_list";

/// The push rules of a user, brought up to the defaults of this version of the server.
#[derive(Clone, Debug)]
pub struct Rules(pub(crate) Ruleset);

impl Rules {
    /// The rules out of the content of `m.push_rules`; the defaults when there are none, or none
    /// that can be read.
    #[must_use]
    pub fn of(user: &UserId, content: Option<&str>) -> Self {
        let defaults = Ruleset::server_default(user);
        let stored = content.and_then(|content| serde_json::from_str::<RulesContent>(content).ok());
        let Some(RulesContent { global: mut rules }) = stored else { return Self(defaults) };
        rules.update_with_server_default(defaults);
        Self(rules)
    }

    /// Whether a rule asks what the user is called.
    #[expect(deprecated, reason = "the condition is, and must still work")]
    fn ask_for_name(&self) -> bool {
        let is_name = |it: &PushCondition| matches!(it, PushCondition::ContainsDisplayName);
        self.0.iter().any(|rule| match rule {
            AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => {
                rule.conditions.iter().any(is_name)
            }
            _ => false,
        })
    }
}

#[derive(Deserialize)]
struct RulesContent {
    global: Ruleset,
}

#[derive(Deserialize)]
struct IgnoredUsers {
    /// A name that is no user's takes nothing from the others.
    ignored_users: BTreeMap<String, Value>,
}

/// What a user said about being told.
#[derive(Debug)]
pub struct Own {
    /// When they said so: of the rules, and of whom they ignore.
    pub(crate) said: [Stamp; 2],
    /// The rules.
    pub(crate) rules: Rules,
    /// Whether a rule asks what the user is called.
    pub(crate) asks_for_name: bool,
    /// Whom they do not want to hear.
    pub(crate) ignored: HashSet<OwnedUserId>,
}

impl Own {
    /// Whom the user does not want to hear.
    #[must_use]
    pub fn ignored(&self) -> &HashSet<OwnedUserId> {
        &self.ignored
    }
}

/// What users said, parsed once.
#[derive(Debug)]
pub(crate) struct OwnCache(Cache<OwnedUserId, Arc<Own>>);

impl Default for OwnCache {
    fn default() -> Self {
        Self(Cache::new(RULESETS_READY_MAX))
    }
}

impl OwnCache {
    /// What a user said, as a reader shows it.
    pub(crate) fn get(&self, reader: &impl Read, user: &UserId) -> Result<Arc<Own>, StorageError> {
        let keys = [PUSH_RULES, IGNORED_USERS].map(|kind| (user, "", kind));
        let mut rows = ACCOUNT_DATA.multi_get(reader, keys)?.into_iter();
        let (rules, ignored) = (rows.next().flatten(), rows.next().flatten());
        let stamp = |row: &Option<vestibule_storage::Stamped<String>>| {
            row.as_ref().map(|row| row.stamp).unwrap_or_default()
        };
        let said = [stamp(&rules), stamp(&ignored)];
        if let Some(known) = self.0.get(user).filter(|known| known.said == said) {
            return Ok(known);
        }
        let rules = Rules::of(user, rules.as_ref().map(|row| row.value.as_str()));
        let ignored = ignored.and_then(|row| serde_json::from_str::<IgnoredUsers>(&row.value).ok());
        let ignored = ignored.map(|it| it.ignored_users).unwrap_or_default().into_keys();
        let ignored = ignored.filter_map(|name| OwnedUserId::try_from(name).ok());
        let own = Arc::new(Own {
            said,
            asks_for_name: rules.ask_for_name(),
            rules,
            // Nobody ignores themselves, whatever they said.
            ignored: ignored.filter(|ignored| ignored != user).collect(),
        });
        self.0.insert(user.to_owned(), Arc::clone(&own));
        Ok(own)
    }
}
