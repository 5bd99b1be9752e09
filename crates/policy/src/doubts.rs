//! Doubts that need facts beside the policy file: asked once at start, and by `policy check`.

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId};
use vestibule_types::ClassName;

use crate::{GUEST_LOCALPART_PREFIX, Policy, Warning};

/// What the start-up check looked up.
#[derive(Clone, Debug, Default)]
pub struct StartFacts {
    /// Whether anybody may register an account.
    pub open_registration: bool,
    /// Aliases of `list` that point nowhere yet.
    pub unresolved_listed: Vec<OwnedRoomAliasId>,
    /// Aliases of `list` that point to another room than the one they are pinned to.
    pub drifted: Vec<OwnedRoomAliasId>,
    /// Aliases of `never` that were never resolved.
    pub unresolved_never: Vec<OwnedRoomAliasId>,
    /// Spaces of the policy that we are not in.
    pub absent_spaces: Vec<OwnedRoomId>,
    /// Spaces too large to be walked to their end.
    pub overflowing_spaces: Vec<OwnedRoomId>,
    /// Aliases that open a door, by people whose class is below `aliases.create` now.
    pub outlived_aliases: Vec<(OwnedRoomAliasId, OwnedUserId, ClassName)>,
    /// Rooms in scope whose guest access is not `can_join`.
    pub rooms_without_guest_access: Vec<OwnedRoomId>,
    /// Rooms named in a list that were replaced by another.
    pub tombstoned: Vec<OwnedRoomId>,
    /// Application services whose namespaces cover the names of guests.
    pub appservices_over_guests: Vec<String>,
    /// Listeners that serve federation without TLS.
    pub plain_federation_listeners: Vec<String>,
    /// Peers that sent `X-Forwarded-For` without being a trusted proxy.
    pub untrusted_forwarders: Vec<String>,
}

impl Policy {
    /// What is doubtful about running this policy here.
    #[must_use]
    pub fn doubts(&self, facts: &StartFacts) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |key: &str, message: String| {
            warnings.push(Warning { key: key.to_owned(), message });
        };
        if facts.open_registration && self.guests.enabled {
            let message = "registration is open, so strangers get class \"member\" rather than come \
                           as guests";
            warn("registration.mode", message.to_owned());
        }
        for alias in &facts.unresolved_listed {
            warn("guests.list", format!("{alias} points to no room yet and opens nothing"));
        }
        for alias in &facts.drifted {
            let message =
                format!("{alias} now points to another room; it opens the first one still");
            warn("guests.list", message);
        }
        for alias in &facts.unresolved_never {
            warn("guests.never", format!("{alias} points to no room yet and closes nothing"));
        }
        for space in &facts.absent_spaces {
            warn("guests.space", format!("this server is not in {space}, so it opens nothing"));
        }
        for space in &facts.overflowing_spaces {
            warn("guests.space", format!("{space} is too large; what lies beyond stays closed"));
        }
        for (alias, maker, class) in &facts.outlived_aliases {
            let message = format!(
                "{alias} still opens its room; {maker}, who made it, is of class \"{class}\" now: \
                 delete it, or answer for it with `vestibule alias adopt '{alias}'`"
            );
            warn("aliases.create", message);
        }
        for room in &facts.rooms_without_guest_access {
            let message = format!("{room} is in scope, but its guest_access is not can_join");
            warn("guests", message);
        }
        for room in &facts.tombstoned {
            warn("guests.list", format!("{room} was replaced by another room"));
        }
        for id in &facts.appservices_over_guests {
            let message = format!(
                "its namespace covers \"@{GUEST_LOCALPART_PREFIX}...\", which is reserved for guests"
            );
            warn(&format!("appservice {id}"), message);
        }
        for listener in &facts.plain_federation_listeners {
            warn(&format!("listener {listener}"), "serves federation without TLS".to_owned());
        }
        for peer in &facts.untrusted_forwarders {
            let message = format!(
                "{peer} sends X-Forwarded-For and is not in trusted_proxies: caps by address count \
                 the proxy, not its visitors"
            );
            warn("listener.trusted_proxies", message);
        }
        warnings.sort();
        warnings
    }

    /// The class of accounts that sign in through a provider; `member` unless a class claims it.
    #[must_use]
    pub fn class_by_sso(&self, provider: &str) -> ClassName {
        self.classes
            .values()
            .find(|class| class.sso.as_deref() == Some(provider))
            .map_or_else(ClassName::member, |class| class.name.clone())
    }
}
