//! Push rules: when a client should be told. Kept as the global account data `m.push_rules`; until
//! somebody changes one, the specification's defaults hold.

mod place;

use ruma::{
    OwnedUserId, UserId,
    push::{
        Action, AnyPushRuleRef, InsertPushRuleError, NewPushRule, RemovePushRuleError, RuleKind,
        RuleNotFoundError, Ruleset,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_storage::{Read, StorageError, Tx};
use vestibule_types::{Actor, limits};

use super::{
    SetAccountDataError,
    account_data::{self, Item, PUSH_RULES, default_rules},
};
use crate::Accounts;

const HISTORICAL_ACTIONS: [&str; 2] = ["dont_notify", "coalesce"];

/// A push rule to be added or changed.
#[derive(Clone, Debug)]
pub struct PutPushRule {
    /// The rule.
    pub rule: NewPushRule,
    /// The rule it comes after.
    pub after: Option<String>,
    /// The rule it comes before.
    pub before: Option<String>,
}

/// Why push rules stayed as they are.
#[derive(Debug, thiserror::Error)]
pub enum ChangePushRuleError {
    /// There is no such rule.
    #[error("there is no such push rule")]
    Unknown,
    /// There is no such rule to stand beside.
    #[error("before/after rule not found: {0}")]
    UnknownNeighbour(String),
    /// The rule is no rule, or is one of the server's own.
    #[error("{0}")]
    Invalid(String),
    /// There are too many rules.
    #[error("there are too many push rules")]
    TooMany,
    /// The rules could not be stored.
    #[error("could not store the push rules")]
    Storage(#[from] StorageError),
}

impl From<SetAccountDataError> for ChangePushRuleError {
    fn from(error: SetAccountDataError) -> Self {
        match error {
            SetAccountDataError::Storage(error) => Self::Storage(error),
            SetAccountDataError::NotOwn
            | SetAccountDataError::ServerControlled
            | SetAccountDataError::TooLarge
            | SetAccountDataError::TooMany
            | SetAccountDataError::Denied(_) => Self::TooMany,
        }
    }
}

impl From<InsertPushRuleError> for ChangePushRuleError {
    fn from(error: InsertPushRuleError) -> Self {
        match error {
            // Rules are not inserted beside others, but moved there.
            InsertPushRuleError::UnknownRuleId => Self::Unknown,
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<RuleNotFoundError> for ChangePushRuleError {
    fn from(_: RuleNotFoundError) -> Self {
        Self::Unknown
    }
}

impl From<RemovePushRuleError> for ChangePushRuleError {
    fn from(error: RemovePushRuleError) -> Self {
        match error {
            RemovePushRuleError::NotFound => Self::Unknown,
            other => Self::Invalid(other.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct Content {
    global: Ruleset,
}

impl Accounts {
    /// The push rules of a user.
    pub async fn push_rules(&self, user_id: &UserId) -> Result<Ruleset, StorageError> {
        let user = user_id.to_owned();
        self.0.store.read(move |read| rules(read, &user)).await
    }

    /// Adds or changes a push rule of the caller's.
    #[instrument(name = "accounts.user_data.put_push_rule", skip_all)]
    pub async fn put_push_rule(
        &self,
        actor: &Actor,
        command: PutPushRule,
    ) -> Result<(), ChangePushRuleError> {
        self.change_push_rules(actor, move |rules| {
            let PutPushRule { rule, after, before } = command.clone();
            place::check(&rule)?;
            let (kind, rule_id) = (rule.kind(), rule.rule_id().to_owned());
            rules.insert(rule, None, None)?;
            place::arrange(rules, (kind, &rule_id), after.as_deref(), before.as_deref())
        })
        .await
    }

    /// Removes a push rule of the caller's.
    #[instrument(name = "accounts.user_data.delete_push_rule", skip_all)]
    pub async fn delete_push_rule(
        &self,
        actor: &Actor,
        kind: RuleKind,
        rule_id: String,
    ) -> Result<(), ChangePushRuleError> {
        self.change_push_rules(actor, move |rules| Ok(rules.remove(kind.clone(), &rule_id)?)).await
    }

    /// Switches a push rule on or off.
    #[instrument(name = "accounts.user_data.enable_push_rule", skip_all)]
    pub async fn enable_push_rule(
        &self,
        actor: &Actor,
        (kind, rule_id): (RuleKind, String),
        enabled: bool,
    ) -> Result<(), ChangePushRuleError> {
        self.change_push_rules(actor, move |rules| {
            Ok(rules.set_enabled(kind.clone(), &rule_id, enabled)?)
        })
        .await
    }

    /// Changes what a push rule does.
    #[instrument(name = "accounts.user_data.set_push_rule_actions", skip_all)]
    pub async fn set_push_rule_actions(
        &self,
        actor: &Actor,
        (kind, rule_id): (RuleKind, String),
        actions: Vec<Action>,
    ) -> Result<(), ChangePushRuleError> {
        place::check_actions(&actions)?;
        self.change_push_rules(actor, move |rules| {
            Ok(rules.set_actions(kind.clone(), &rule_id, actions.clone())?)
        })
        .await
    }

    async fn change_push_rules(
        &self,
        actor: &Actor,
        change: impl Fn(&mut Ruleset) -> Result<(), ChangePushRuleError> + Send + 'static,
    ) -> Result<(), ChangePushRuleError> {
        let user_id: OwnedUserId = actor.user_id().to_owned();
        self.0
            .write(actor.user_id(), move |tx| {
                let mut rules = rules(tx, &user_id)?;
                change(&mut rules)?;
                strip(&mut rules);
                store(tx, &user_id, &rules)
            })
            .await
    }
}

/// The rules as stored, brought up to the defaults of this version of the server.
fn rules(read: &impl Read, user_id: &UserId) -> Result<Ruleset, StorageError> {
    let item = Item { room_id: None, kind: PUSH_RULES };
    let stored = account_data::get(read, user_id, &item)?;
    let stored = stored.and_then(|json| serde_json::from_str::<Content>(&json).ok());
    let Some(Content { global: mut rules }) = stored else { return Ok(default_rules(user_id)) };
    rules.update_with_server_default(default_rules(user_id));
    strip(&mut rules);
    Ok(rules)
}

/// Takes away the actions that once were some and must be ignored (client-server API, "Historical
/// Actions").
fn strip(rules: &mut Ruleset) {
    let stale: Vec<(RuleKind, String)> = rules
        .iter()
        .filter(|rule| rule.actions().iter().any(is_historical))
        .filter_map(|rule| Some((kind_of(&rule)?, rule.rule_id().to_owned())))
        .collect();
    for (kind, rule_id) in stale {
        let Some(rule) = rules.get(kind.clone(), &rule_id) else { continue };
        let kept = rule.actions().iter().filter(|action| !is_historical(action)).cloned().collect();
        // It was there a moment ago.
        drop(rules.set_actions(kind, &rule_id, kept));
    }
}

fn is_historical(action: &Action) -> bool {
    let name = serde_json::to_value(action).ok();
    name.as_ref().and_then(|it| it.as_str()).is_some_and(|name| HISTORICAL_ACTIONS.contains(&name))
}

fn kind_of(rule: &AnyPushRuleRef<'_>) -> Option<RuleKind> {
    Some(match rule {
        AnyPushRuleRef::Override(_) => RuleKind::Override,
        AnyPushRuleRef::Content(_) => RuleKind::Content,
        AnyPushRuleRef::Room(_) => RuleKind::Room,
        AnyPushRuleRef::Sender(_) => RuleKind::Sender,
        AnyPushRuleRef::Underride(_) => RuleKind::Underride,
        _ => return None,
    })
}

/// Changes the rules of a user, if the change says that it did, and as far as they fit.
pub(super) fn change_where(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    change: impl FnOnce(&mut Ruleset) -> bool,
) -> Result<(), StorageError> {
    let mut rules = rules(tx, user_id)?;
    if !change(&mut rules) {
        return Ok(());
    }
    match store(tx, user_id, &rules) {
        Err(ChangePushRuleError::Storage(error)) => Err(error),
        _ => Ok(()),
    }
}

/// The content of `m.push_rules` as it holds now, as JSON text.
pub fn content(read: &impl Read, user_id: &UserId) -> Result<String, StorageError> {
    Ok(encode(&rules(read, user_id)?))
}

fn encode(global: &Ruleset) -> String {
    json!({ "global": all_kinds(global) }).to_string()
}

/// Rules as clients see them: with every kind, those without rules too.
#[must_use]
pub fn all_kinds(rules: &Ruleset) -> Value {
    // A ruleset always has a JSON form: its keys are texts.
    let mut shown = serde_json::to_value(rules).unwrap_or_default();
    for kind in ["override", "content", "room", "sender", "underride"] {
        if let Value::Object(shown) = &mut shown {
            shown.entry(kind).or_insert_with(|| json!([]));
        }
    }
    shown
}

fn store(tx: &mut Tx<'_>, user_id: &UserId, rules: &Ruleset) -> Result<(), ChangePushRuleError> {
    let own = rules.iter().filter(|rule| !rule.is_server_default()).count();
    let content = encode(rules);
    if own > limits::PUSH_RULES_MAX || content.len() > limits::ACCOUNT_DATA_BYTES_MAX {
        return Err(ChangePushRuleError::TooMany);
    }
    let item = Item { room_id: None, kind: PUSH_RULES };
    Ok(account_data::put(tx, user_id, &item, content)?)
}
