//! Scopes: which rooms a class is confined to.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, OwnedServerName, RoomId, ServerName, UserId};
use vestibule_types::{Glob, limits};

use super::Lint;
use crate::{
    FederatedJoin, GuestsConfig, RoomNames, Scope, ScopeConfig, SpaceConfig, SpaceRule, Texts,
};

impl Lint<'_> {
    /// The scope of the built-in guest class, from `[guests]`.
    pub(super) fn guest_scope(&mut self, guests: &GuestsConfig) -> Scope {
        let doors = self.doors(guests);
        let alias = self.alias_globs("guests.alias", &guests.alias);
        let mut list = self.room_names("guests.list", &guests.list);
        list.vias = self.vias("guests.list_via", &guests.list_via, &list);
        let never = self.room_names("guests.never", &guests.never);
        let spaces = self.spaces("guests.space", &guests.space);
        self.list_against_never("guests.list", &list, &never);
        let idle = |written: bool, door: bool| guests.enabled && written && !door;
        if idle(!guests.list.is_empty(), doors.list) {
            self.warn("guests.list", "opens nothing while \"list\" is not in open_rooms_by");
        }
        if idle(!guests.space.is_empty(), doors.space) {
            self.warn("guests.space", "opens nothing while \"space\" is not in open_rooms_by");
        }
        Scope {
            any: doors.any,
            alias: if doors.alias { alias } else { Vec::new() },
            list: if doors.list { list } else { RoomNames::default() },
            never,
            spaces: if doors.space { spaces } else { Vec::new() },
            need_host: guests.need_host,
            federated_join: self.federated_join(guests),
        }
    }

    fn doors(&mut self, guests: &GuestsConfig) -> Doors {
        const KEY: &str = "guests.open_rooms_by";
        let mut doors = Doors::default();
        for word in &guests.open_rooms_by {
            match word.as_str() {
                "alias" => doors.alias = true,
                "list" => doors.list = true,
                "space" => doors.space = true,
                "any" => doors.any = true,
                other => {
                    let remedy = "write some of \"alias\", \"list\", \"space\", \"any\"";
                    self.error(KEY, format!("\"{other}\""), remedy);
                }
            }
        }
        if !guests.enabled {
            return doors;
        }
        if doors.any {
            let message = "\"any\" opens every room that admits guests, whoever made it";
            self.warn(KEY, message);
        }
        if guests.open_rooms_by.is_empty() {
            self.warn(KEY, "opens no room: guests can join through links only");
        }
        if doors.list && guests.list.is_empty() {
            self.warn("guests.list", "\"list\" is in open_rooms_by, but the list is empty");
        }
        if doors.space && guests.space.is_empty() {
            self.warn("guests.space", "\"space\" is in open_rooms_by, but no space is named");
        }
        doors
    }

    fn federated_join(&mut self, guests: &GuestsConfig) -> FederatedJoin {
        let words = [
            ("never", FederatedJoin::Never),
            ("resident-only", FederatedJoin::ResidentOnly),
            ("in-scope", FederatedJoin::InScope),
        ];
        self.one_of("guests.federated_join", &guests.federated_join, &words)
    }

    /// The scope a class has of its own. Rooms that are never open to guests are not open to it
    /// either.
    pub(super) fn class_scope(&mut self, key: &str, scope: &ScopeConfig, guests: &Scope) -> Scope {
        let alias_key = format!("{key}.alias");
        let alias =
            scope.alias.as_ref().map_or_else(Vec::new, |alias| self.alias_globs(&alias_key, alias));
        let list_key = format!("{key}.list");
        let mut list = self.room_names(&list_key, &scope.list);
        list.vias = self.vias(&format!("{key}.list_via"), &scope.list_via, &list);
        let own_never = self.room_names(&format!("{key}.never"), &scope.never);
        let never = RoomNames {
            rooms: [own_never.rooms, guests.never.rooms.clone()].concat(),
            aliases: [own_never.aliases, guests.never.aliases.clone()].concat(),
            vias: BTreeMap::new(),
        };
        self.list_against_never(&list_key, &list, &never);
        let spaces = self.spaces(&format!("{key}.space"), &scope.space);
        if scope.alias.is_none() && scope.list.is_empty() && scope.space.is_empty() {
            let remedy = "name at least one of alias, list and space, or leave scope out";
            self.error(key, "{}", remedy);
        }
        Scope {
            any: false,
            alias,
            list,
            never,
            spaces,
            need_host: scope.need_host.unwrap_or(guests.need_host),
            federated_join: guests.federated_join,
        }
    }

    /// Which servers are asked for which listed room.
    fn vias(
        &mut self,
        key: &str,
        written: &BTreeMap<String, Vec<String>>,
        list: &RoomNames,
    ) -> BTreeMap<OwnedRoomId, Vec<OwnedServerName>> {
        let mut vias = BTreeMap::new();
        for (room, servers) in written {
            let key = format!("{key}.\"{room}\"");
            let named = list.rooms.iter().find(|listed| listed.as_str() == room);
            let Some(named) = named else {
                self.error(key, "{..}", "write the id of a room that is in `list`");
                continue;
            };
            let known: Result<Vec<_>, _> = servers.iter().map(ServerName::parse).collect();
            let within = (1..=limits::HANDSHAKE_VIAS_MAX).contains(&servers.len());
            match known {
                Ok(known) if within => drop(vias.insert(named.clone(), known)),
                _ => {
                    let most = limits::HANDSHAKE_VIAS_MAX;
                    let remedy = format!("write 1 to {most} names of servers that are in the room");
                    self.error(key, format!("{servers:?}"), remedy);
                }
            }
        }
        vias
    }

    fn list_against_never(&mut self, key: &str, list: &RoomNames, never: &RoomNames) {
        let rooms =
            list.rooms.iter().filter(|room| never.rooms.contains(room)).map(|room| room.as_str());
        let aliases = list
            .aliases
            .iter()
            .filter(|alias| never.aliases.contains(alias))
            .map(|alias| alias.as_str());
        let both: Vec<_> = rooms.chain(aliases).map(str::to_owned).collect();
        for entry in both {
            let remedy = "it is in a never list too, which wins: take it out of one of them";
            self.error(key, format!("\"{entry}\""), remedy);
        }
    }

    /// Patterns over our own aliases.
    fn alias_globs(&mut self, key: &str, patterns: &Texts) -> Vec<Glob> {
        let mut globs = Vec::new();
        for pattern in patterns.as_slice() {
            let pattern = self.with_server_name(pattern);
            if self.is_own_alias_pattern(key, &pattern) {
                globs.push(Glob::new(&pattern));
            }
        }
        if patterns.as_slice().is_empty() {
            self.error(key, "[]", "write a pattern like \"#*:{server.name}\"");
        }
        globs
    }

    /// Whether a pattern can match an alias of ours at all.
    pub(super) fn is_own_alias_pattern(&mut self, key: &str, pattern: &str) -> bool {
        let server = pattern.strip_prefix('#').and_then(|rest| rest.split_once(':'));
        let matches =
            server.is_some_and(|(_, server)| Glob::new(server).matches(self.server_name.as_str()));
        if !matches {
            let remedy = format!(
                "only aliases of this server count: write \"#\", a pattern, and \":{}\"",
                self.server_name
            );
            self.error(key, format!("\"{pattern}\""), remedy);
        }
        matches
    }

    fn spaces(&mut self, key: &str, spaces: &[SpaceConfig]) -> Vec<SpaceRule> {
        let mut rules: Vec<SpaceRule> = Vec::new();
        for space in spaces {
            let id_key = format!("{key}.id");
            let Some(id) = Some(&space.id)
                .filter(|id| id.starts_with('!'))
                .and_then(|id| RoomId::parse(id).ok())
            else {
                let remedy = "write the room id of the space, which begins with \"!\"";
                self.error(id_key, format!("\"{}\"", space.id), remedy);
                continue;
            };
            if rules.iter().any(|rule| rule.id == id) {
                self.error(id_key, format!("\"{id}\""), "name each space once");
                continue;
            }
            let depth = space.depth.unwrap_or(1);
            if depth == 0 || depth > limits::SPACE_DEPTH_MAX {
                let remedy = format!("write a depth from 1 to {}", limits::SPACE_DEPTH_MAX);
                self.error(format!("{key}.depth"), depth, remedy);
            }
            let (curator_servers, curator_users) = self.curators(key, &space.curators);
            let follow = space.follow;
            rules.push(SpaceRule { id, depth, curator_servers, curator_users, follow });
        }
        rules
    }

    fn curators(
        &mut self,
        key: &str,
        curators: &[String],
    ) -> (BTreeSet<OwnedServerName>, BTreeSet<ruma::OwnedUserId>) {
        let key = format!("{key}.curators");
        let (mut servers, mut users) = (BTreeSet::new(), BTreeSet::new());
        for curator in curators {
            let curator = self.with_server_name(curator);
            if curator.starts_with('@') {
                match UserId::parse(&curator) {
                    Ok(user) => drop(users.insert(user)),
                    Err(_) => self.bad_curator(&key, &curator),
                }
                continue;
            }
            match ServerName::parse(&curator) {
                Ok(server) => {
                    if server != self.server_name {
                        let message = format!(
                            "every user of {server} who may add rooms to the space opens them to guests"
                        );
                        self.warn(key.clone(), message);
                    }
                    servers.insert(server);
                }
                Err(_) => self.bad_curator(&key, &curator),
            }
        }
        if curators.is_empty() {
            servers.insert(self.server_name.to_owned());
        }
        (servers, users)
    }

    fn bad_curator(&mut self, key: &str, curator: &str) {
        let remedy = "write a server name or a user id like \"@ada:example.org\"";
        self.error(key, format!("\"{curator}\""), remedy);
    }
}

/// `open_rooms_by`.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each word of the list")]
struct Doors {
    any: bool,
    alias: bool,
    list: bool,
    space: bool,
}
