//! From the configuration as written to a [`Policy`]: every mistake and every doubt at once.

mod classes;
mod rooms;
mod sections;
mod values;

use std::fmt;

use ruma::ServerName;
use serde::Serialize;

use crate::{Ability, Policy, PolicyConfig, Rung, Standing, names::NameGuard, policy::GuestRules};

/// A mistake: the server does not start with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{key} = {value}: {remedy}")]
pub struct PolicyError {
    /// Which key.
    pub key: String,
    /// What is written there.
    pub value: String,
    /// What to write instead.
    pub remedy: String,
}

/// A doubt: the server starts and says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// Which key.
    pub key: String,
    /// What is doubtful about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Checks the policy sections and compiles them. The policy has epoch 0 until
/// [`Policy::at_epoch`] gives it the committed one.
pub fn compile(
    config: &PolicyConfig,
    server_name: &ServerName,
) -> Result<(Policy, Vec<Warning>), Vec<PolicyError>> {
    let mut lint = Lint { server_name, errors: Vec::new(), warnings: Vec::new() };
    let guest_scope = lint.guest_scope(&config.guests);
    let classes = lint.classes(config, &guest_scope);
    let by_alias = classes.values().any(|class| {
        let in_use = config.guests.enabled || class.name.as_str() != "guest";
        in_use && class.scope.as_ref().is_some_and(crate::Scope::opens_by_alias)
    });
    let create = lint.alias_creators(&config.aliases, by_alias);
    let aliases = lint.aliases(&config.aliases, create, &classes);
    let policy = Policy {
        epoch: 0,
        server_name: server_name.to_owned(),
        publish: lint.rung("directory.publish", config.directory.publish.as_deref(), create),
        directory_without_login: config.directory.visible_without_login,
        directory_to_servers: config.directory.visible_to_servers,
        search: lint.rung(
            "users.searchable_by",
            Some(config.users.searchable_by.as_str()),
            Rung::Member,
        ),
        profiles_need_shared_room: lint.one_of(
            "users.profile_lookup",
            &config.users.profile_lookup,
            &[("shared-room", true), ("anyone", false)],
        ),
        profiles_without_login: config.users.profiles_without_login,
        names: NameGuard::new(config.users.protected_names.iter().map(String::as_str)),
        audit_denials: config.audit.denials,
        observe: lint.audit_mode(&config.audit),
        last_admin_guard: lint.last_admin_guard(&config.rooms),
        guests: GuestRules {
            enabled: config.guests.enabled,
            switched_off: false,
            when_room_leaves_scope: lint.leaves_scope(&config.guests.when_room_leaves_scope),
            life: lint.life(&config.guests.life),
            caps: lint.caps(&config.guests),
        },
        aliases,
        classes,
    };
    lint.class_order(&policy);
    lint.finish(policy)
}

/// What is collected on the way.
struct Lint<'a> {
    server_name: &'a ServerName,
    errors: Vec<PolicyError>,
    warnings: Vec<Warning>,
}

impl Lint<'_> {
    fn error(
        &mut self,
        key: impl Into<String>,
        value: impl fmt::Display,
        remedy: impl Into<String>,
    ) {
        let error =
            PolicyError { key: key.into(), value: value.to_string(), remedy: remedy.into() };
        self.errors.push(error);
    }

    fn warn(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning { key: key.into(), message: message.into() });
    }

    /// What lower classes may without `may_also`, higher ones may too.
    fn class_order(&mut self, policy: &Policy) {
        let rung = |name: &str| {
            policy
                .classes
                .values()
                .find(|class| class.name.as_str() == name)
                .map(|class| class.abilities)
        };
        let (Some(member), Some(moderator), Some(admin)) =
            (rung("member"), rung("moderator"), rung("admin"))
        else {
            return;
        };
        for class in policy.classes.values() {
            let (above, name) = match class.standing {
                Standing::GuestLike | Standing::MemberLike => (member, "member"),
                Standing::Full(Rung::Member) => (moderator, "moderator"),
                Standing::Full(Rung::Moderator) => (admin, "admin"),
                _ => continue,
            };
            let without_also = class.abilities.minus(class.granted_also);
            let excess: Vec<_> = without_also.minus(above).iter().map(Ability::name).collect();
            if !excess.is_empty() {
                let key = format!("class.{}.may", class.name);
                let remedy = format!(
                    "class \"{name}\" may not do this: take it away here too with may_not, or \
                     write it in may_also to say that it is meant"
                );
                self.error(key, excess.join(", "), remedy);
            }
        }
    }

    fn finish(mut self, policy: Policy) -> Result<(Policy, Vec<Warning>), Vec<PolicyError>> {
        if self.errors.is_empty() {
            self.warnings.sort();
            self.warnings.dedup();
            return Ok((policy, self.warnings));
        }
        self.errors.sort();
        self.errors.dedup();
        Err(self.errors)
    }
}
