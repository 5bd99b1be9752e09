//! Who may create, delete and move an alias, and which alias opens a door.

use ruma::{OwnedRoomAliasId, RoomAliasId, UserId};
use vestibule_types::{ClassName, Glob};

use crate::{
    AliasFact, AliasOrigin, Class, Facts, Policy, Reason, Rung, Standing, skeleton::skeleton,
};

/// The compiled `[aliases]` section.
#[derive(Clone, Debug)]
pub(crate) struct AliasRules {
    pub(crate) create: Rung,
    /// The patterns as written, `{server.name}` filled in.
    pub(crate) members_may: Vec<String>,
    /// The same with anything for `{localpart}`.
    pub(crate) under_members_may: Vec<Glob>,
    /// Patterns over the skeleton of an alias without its `#` and server.
    pub(crate) protected: Vec<Glob>,
    /// Skeletons of the aliases named in some list.
    pub(crate) named: Vec<(String, OwnedRoomAliasId)>,
    pub(crate) follows_upgrade: bool,
}

/// Stands for the localpart of whoever asks, in `members_may`.
pub(crate) const LOCALPART: &str = "{localpart}";

/// What of an alias is compared with protected patterns: the part before the server.
pub(crate) fn alias_body(alias: &str) -> &str {
    alias.strip_prefix('#').unwrap_or(alias).split(':').next().unwrap_or_default()
}

/// A refusal by an alias rule, and what would lift it.
pub(crate) type Ruled = Result<&'static str, (Reason, &'static str)>;

impl Policy {
    /// The lowest class that may create any alias.
    #[must_use]
    pub fn alias_creators(&self) -> Rung {
        self.aliases.create
    }

    /// Whether an alias is kept for admins: it matches a protected pattern, or looks like one of
    /// the names in a list.
    #[must_use]
    pub fn is_protected_alias(&self, alias: &RoomAliasId) -> bool {
        let body = skeleton(alias_body(alias.as_str()));
        self.aliases.protected.iter().any(|glob| glob.matches(&body))
            || self.aliases.named.iter().any(|(named, _)| *named == body)
    }

    /// Whether an alias lies where members may make their own; such an alias opens no door.
    #[must_use]
    pub fn is_member_alias(&self, alias: &RoomAliasId) -> bool {
        self.aliases.under_members_may.iter().any(|glob| glob.matches(alias.as_str()))
    }

    fn is_own_member_alias(&self, alias: &RoomAliasId, user: &UserId) -> bool {
        self.aliases.members_may.iter().any(|pattern| {
            Glob::with_placeholder(pattern, LOCALPART, Some(user.localpart()))
                .matches(alias.as_str())
        })
    }

    /// Why a row of our alias table opens no door, or `None` if it can open one.
    #[must_use]
    pub fn alias_opens_nothing_because(&self, row: &AliasFact) -> Option<&'static str> {
        if row.alias.server_name() != self.server_name() {
            return Some("it belongs to another server");
        }
        if row.origin == AliasOrigin::Appservice {
            return Some("an application service made it");
        }
        if self.is_member_alias(&row.alias) {
            return Some("it lies where members make their own");
        }
        let creator = self.class(&row.creator_class);
        if !creator.is_some_and(|class| class.at_least(self.aliases.create)) {
            return Some("its creator's class was below aliases.create");
        }
        None
    }

    /// Whether an alias opens a door by the class its maker had, and would not by the one they have
    /// now. What an operator answers for does not depend on its maker.
    #[must_use]
    pub fn alias_outlived_its_maker(&self, row: &AliasFact, class_now: &ClassName) -> bool {
        let doors = self.classes().filter_map(Class::scope);
        let opens =
            doors.flat_map(|scope| &scope.alias).any(|glob| glob.matches(row.alias.as_str()));
        let stands = self.class(class_now).is_some_and(|it| it.at_least(self.aliases.create));
        opens
            && !stands
            && row.origin != AliasOrigin::Admin
            && self.alias_opens_nothing_because(row).is_none()
    }

    /// An operator answers only for an alias that opens doors then.
    pub(crate) fn rule_adopt_alias(&self, alias: &RoomAliasId) -> Ruled {
        if alias.server_name() != self.server_name() {
            return Err((Reason::AliasForeign, "an alias of this server"));
        }
        if self.is_member_alias(alias) {
            let what = "an alias that does not lie under aliases.members_may";
            return Err((Reason::AliasOpensNothing, what));
        }
        Ok("it opens doors once it is adopted")
    }

    pub(crate) fn rule_create_alias(
        &self,
        class: &Class,
        user: &UserId,
        alias: &RoomAliasId,
        facts: &Facts,
    ) -> Ruled {
        if alias.server_name() != self.server_name() {
            return Err((Reason::AliasForeign, "an alias of this server"));
        }
        if class.at_least(Rung::Admin) {
            return Ok("admins may create any alias");
        }
        if self.is_protected_alias(alias) {
            return Err((Reason::AliasProtected, "an admin creating it"));
        }
        if class.standing == Standing::Appservice {
            return if facts.in_own_namespace {
                Ok("it lies in the application service's namespace")
            } else {
                Err((Reason::AliasOutsideNamespace, "a namespace that covers the alias"))
            };
        }
        if class.at_least(self.aliases.create) {
            return Ok("the class may create any alias");
        }
        if self.is_own_member_alias(alias, user) {
            return Ok("it lies under the account's own prefix");
        }
        Err((
            Reason::AliasClassTooLow,
            "a class as high as aliases.create, or a name that members_may allows",
        ))
    }

    pub(crate) fn rule_delete_alias(
        &self,
        class: &Class,
        user: &UserId,
        alias: &RoomAliasId,
        facts: &Facts,
    ) -> Ruled {
        let row = alias_row(alias, facts)?;
        if class.at_least(Rung::Admin) {
            return Ok("admins may delete any alias");
        }
        if self.is_protected_alias(alias) {
            return Err((Reason::AliasProtected, "an admin deleting it"));
        }
        if class.standing == Standing::Appservice && facts.in_own_namespace {
            return Ok("it lies in the application service's namespace");
        }
        if row.creator.as_deref() == Some(user) {
            return Ok("the account made it");
        }
        if class.at_least(self.aliases.create.max(Rung::Moderator)) {
            return Ok("the class may delete any alias");
        }
        // Closing a door is not opening one, but where doors hang on aliases only those who may
        // open them may close them.
        if self.aliases.create <= Rung::Member
            && class.at_least(Rung::Member)
            && facts.has_alias_power == Some(true)
        {
            return Ok("the account may change the room's canonical alias");
        }
        Err((Reason::AliasNotYours, "being its creator, or a class as high as aliases.create"))
    }

    pub(crate) fn rule_move_alias(
        &self,
        class: &Class,
        user: &UserId,
        alias: &RoomAliasId,
        facts: &Facts,
    ) -> Ruled {
        let row = alias_row(alias, facts)?;
        if !self.aliases.follows_upgrade {
            return Err((Reason::AliasStays, "aliases.follow_upgrade = \"local-moderator\""));
        }
        if class.at_least(Rung::Admin) {
            return Ok("admins may move any alias");
        }
        if self.is_protected_alias(alias) {
            return Err((Reason::AliasProtected, "an admin moving it"));
        }
        if class.standing == Standing::Appservice && facts.in_own_namespace {
            return Ok("it lies in the application service's namespace");
        }
        if class.at_least(self.aliases.create) {
            return Ok("the class may create any alias");
        }
        if row.creator.as_deref() == Some(user) {
            return Ok("the account made it; its class is recorded anew");
        }
        Err((Reason::AliasClassTooLow, "a class as high as aliases.create"))
    }
}

fn alias_row<'a>(
    alias: &RoomAliasId,
    facts: &'a Facts,
) -> Result<&'a AliasFact, (Reason, &'static str)> {
    facts
        .alias
        .as_ref()
        .filter(|row| row.alias == alias)
        .ok_or((Reason::FactsMissing, "the row of the alias"))
}
