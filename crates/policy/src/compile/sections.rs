//! The sections that are neither classes nor scopes.

use std::collections::BTreeMap;

use vestibule_types::{ClassName, Glob};

use super::Lint;
use crate::{
    AliasRules, AliasesConfig, AuditConfig, CapsConfig, Class, GuestLife, GuestsConfig,
    LastAdminGuard, LeavesScopeConfig, LifeConfig, RoomRulesConfig, Rung, WhenRoomLeavesScope,
    aliases::{LOCALPART, alias_body},
    skeleton::{skeleton, skeleton_glob},
};

impl Lint<'_> {
    /// `aliases.create`. Whoever makes an alias opens a door, once doors hang on aliases.
    pub(super) fn alias_creators(&mut self, aliases: &AliasesConfig, by_alias: bool) -> Rung {
        const KEY: &str = "aliases.create";
        let rung = self.rung(KEY, aliases.create.as_deref(), Rung::Member);
        if by_alias && rung <= Rung::Member {
            let value = aliases
                .create
                .as_deref()
                .map_or("not written".to_owned(), |create| format!("\"{create}\""));
            let remedy = "rooms are opened by alias, and so every member could open any room: write \
                          create = \"moderator\" in [aliases], or take \"alias\" out of open_rooms_by";
            self.error(KEY, value, remedy);
        }
        rung
    }

    pub(super) fn aliases(
        &mut self,
        aliases: &AliasesConfig,
        create: Rung,
        classes: &BTreeMap<ClassName, Class>,
    ) -> AliasRules {
        let members_may = self.members_may(&aliases.members_may);
        let under_members_may = members_may
            .iter()
            .map(|pattern| Glob::with_placeholder(pattern, LOCALPART, None))
            .collect();
        let mut protected = Vec::new();
        for pattern in &aliases.protected {
            if pattern.len() > 1 && pattern.starts_with('#') {
                protected.push(skeleton_glob(alias_body(pattern)));
            } else {
                let remedy = "write a pattern that begins with \"#\", like \"#*support*\"";
                self.error("aliases.protected", format!("\"{pattern}\""), remedy);
            }
        }
        let own = self.server_name;
        let named = classes
            .values()
            .filter_map(|class| class.scope.as_ref())
            .flat_map(|scope| scope.list.aliases.iter().chain(&scope.never.aliases))
            .filter(|alias| alias.server_name() == own)
            .map(|alias| (skeleton(alias_body(alias.as_str())), alias.clone()))
            .collect();
        let words = [("local-moderator", true), ("never", false)];
        let follows_upgrade =
            self.one_of("aliases.follow_upgrade", &aliases.follow_upgrade, &words);
        AliasRules { create, members_may, under_members_may, protected, named, follows_upgrade }
    }

    fn members_may(&mut self, patterns: &[String]) -> Vec<String> {
        const KEY: &str = "aliases.members_may";
        let mut kept = Vec::new();
        for pattern in patterns {
            let pattern = self.with_server_name(pattern);
            if !self.is_own_alias_pattern(KEY, &pattern) {
                continue;
            }
            let body = alias_body(&pattern);
            let around = body.replace(LOCALPART, "");
            if !body.contains(LOCALPART) {
                let remedy = "hold {localpart}, so that each member has a prefix of their own, like \
                              \"#~{localpart}~*:{server.name}\"";
                self.error(KEY, format!("\"{pattern}\""), remedy);
            } else if around.chars().all(|character| matches!(character, '*' | '?')) {
                let remedy = "every alias would lie under it, and none could open a door: write \
                              \"#~{localpart}~*:{server.name}\"";
                self.error(KEY, format!("\"{pattern}\""), remedy);
            } else {
                if !body.contains("~{localpart}~") {
                    let message = format!(
                        "\"{pattern}\" lets one member use another's prefix; \"~\" on both sides \
                         cannot occur in a name"
                    );
                    self.warn(KEY, message);
                }
                kept.push(pattern);
            }
        }
        kept
    }

    pub(super) fn audit_mode(&mut self, audit: &AuditConfig) -> bool {
        let words = [("enforce", false), ("observe", true)];
        let observe = self.one_of("audit.mode", &audit.mode, &words);
        if observe {
            let message = "\"observe\" enforces neither class ceilings nor scope nor caps";
            self.warn("audit.mode", message);
        }
        observe
    }

    pub(super) fn last_admin_guard(&mut self, rooms: &RoomRulesConfig) -> LastAdminGuard {
        let words = [
            ("warn", LastAdminGuard::Warn),
            ("refuse_once", LastAdminGuard::RefuseOnce),
            ("off", LastAdminGuard::Off),
        ];
        self.one_of("rooms.last_admin_guard", &rooms.last_admin_guard, &words)
    }

    pub(super) fn leaves_scope(&mut self, leaves: &LeavesScopeConfig) -> WhenRoomLeavesScope {
        const KEY: &str = "guests.when_room_leaves_scope";
        let evict_after_ms = self.duration_ms(&format!("{KEY}.evict_after"), &leaves.evict_after);
        match leaves.action.as_str() {
            "keep" => WhenRoomLeavesScope::Keep,
            "freeze" => WhenRoomLeavesScope::Freeze { evict_after_ms },
            "evict" => WhenRoomLeavesScope::Evict,
            other => {
                let remedy = "write one of \"keep\", \"freeze\", \"evict\"";
                self.error(format!("{KEY}.do"), format!("\"{other}\""), remedy);
                WhenRoomLeavesScope::Evict
            }
        }
    }

    pub(super) fn life(&mut self, life: &LifeConfig) -> GuestLife {
        let never_joined_ms = self.duration_ms("guests.life.never_joined", &life.never_joined);
        let idle_ms = self.duration_ms("guests.life.idle", &life.idle);
        let max_ms = self.duration_ms("guests.life.max", &life.max);
        for (key, value, text) in [
            ("guests.life.never_joined", never_joined_ms, &life.never_joined),
            ("guests.life.idle", idle_ms, &life.idle),
        ] {
            if value > max_ms {
                let remedy = "it is longer than guests.life.max: shorten it, or lengthen max";
                self.error(key, format!("\"{text}\""), remedy);
            }
        }
        let words = [("erase", true), ("deactivate", false)];
        let erase = self.one_of("guests.life.afterwards", &life.afterwards, &words);
        GuestLife { never_joined_ms, idle_ms, max_ms, erase }
    }

    pub(super) fn caps(&mut self, guests: &GuestsConfig) -> CapsConfig {
        let caps = &guests.caps;
        for (key, value) in [
            ("per_ip", caps.per_ip),
            ("per_ip_per_day", caps.per_ip_per_day),
            ("live", caps.live),
            ("new_per_minute", caps.new_per_minute),
            ("rooms_each", caps.rooms_each),
            ("per_room", caps.per_room),
        ] {
            if guests.enabled && value == 0 {
                let remedy = "0 lets no guest in: write at least 1, or enabled = false in [guests]";
                self.error(format!("guests.caps.{key}"), 0, remedy);
            }
        }
        caps.clone()
    }
}
