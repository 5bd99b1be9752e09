//! The policy sections of the configuration file, as written. [`crate::compile`] checks them.
//!
//! Values stay text here, so that every mistake in the file is reported at once, with its key and
//! its remedy, instead of the first one stopping the parser.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Every section of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// People without an account.
    pub guests: GuestsConfig,
    /// Classes: the built-in ones changed, and new ones.
    pub class: BTreeMap<String, ClassConfig>,
    /// Who may create, delete and move aliases.
    pub aliases: AliasesConfig,
    /// Who may list rooms, and who sees the list.
    pub directory: DirectoryConfig,
    /// Who may find users.
    pub users: UsersConfig,
    /// What is written down, and whether the policy bites.
    pub audit: AuditConfig,
    /// Rules about rooms that the policy decides.
    pub rooms: RoomRulesConfig,
}

/// One text, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Texts {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl From<&str> for Texts {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

/// `[guests]`: people without an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuestsConfig {
    /// Whether guests are let in at all.
    pub enabled: bool,
    /// What opens a room for guests, any one of: "alias", "list", "space", or "any" for the room's
    /// own guest access alone.
    pub open_rooms_by: Vec<String>,
    /// Rooms with an alias of ours that matches are open; `{server.name}` stands for our name.
    pub alias: Texts,
    /// Rooms that are open, by id or alias.
    pub list: Vec<String>,
    /// Servers to ask for a listed room that is not here, by the room's id: those of room version 12 and
    /// later name no server.
    pub list_via: BTreeMap<String, Vec<String>>,
    /// Rooms that are never open, by id or alias. Wins over everything.
    pub never: Vec<String>,
    /// Spaces whose rooms are open.
    pub space: Vec<SpaceConfig>,
    /// Whether a member of ours that is not a guest must be in the room.
    pub need_host: bool,
    /// Rooms on other servers: "never", "resident-only" (we are in it already) or "in-scope".
    pub federated_join: String,
    /// What happens to guests in a room that is no longer open.
    pub when_room_leaves_scope: LeavesScopeConfig,
    /// How long a guest lives.
    pub life: LifeConfig,
    /// How many guests there may be.
    pub caps: CapsConfig,
}

impl Default for GuestsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            open_rooms_by: vec!["alias".to_owned()],
            alias: "#*:{server.name}".into(),
            list: Vec::new(),
            list_via: BTreeMap::new(),
            never: Vec::new(),
            space: Vec::new(),
            need_host: true,
            federated_join: "resident-only".to_owned(),
            when_room_leaves_scope: LeavesScopeConfig::default(),
            life: LifeConfig::default(),
            caps: CapsConfig::default(),
        }
    }
}

/// `when_room_leaves_scope`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeavesScopeConfig {
    /// "keep", "freeze" (may read and leave, then evicted) or "evict".
    #[serde(rename = "do")]
    pub action: String,
    /// How long a frozen guest stays.
    pub evict_after: String,
}

impl Default for LeavesScopeConfig {
    fn default() -> Self {
        Self { action: "freeze".to_owned(), evict_after: "24h".to_owned() }
    }
}

/// `[[guests.space]]`: a space whose rooms are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpaceConfig {
    /// The id of the space's room.
    pub id: String,
    /// How many steps down from the space count; 1 is the rooms directly in it.
    pub depth: Option<u32>,
    /// Servers and users whose additions count.
    pub curators: Vec<String>,
    /// Whether the server's own user stays in the space to keep it fresh.
    pub follow: bool,
}

/// `[guests.life]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifeConfig {
    /// How long a guest that never joined a room lives.
    pub never_joined: String,
    /// How long a guest lives after its last request.
    pub idle: String,
    /// How long a guest lives at most.
    pub max: String,
    /// What happens then: "erase" or "deactivate".
    pub afterwards: String,
}

impl Default for LifeConfig {
    fn default() -> Self {
        Self {
            never_joined: "1h".to_owned(),
            idle: "24h".to_owned(),
            max: "7d".to_owned(),
            afterwards: "erase".to_owned(),
        }
    }
}

/// `[guests.caps]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapsConfig {
    /// Live guests per IPv4 address or IPv6 /64; eight times as many per IPv6 /48.
    pub per_ip: u64,
    /// Guests made per day and address, counted likewise.
    pub per_ip_per_day: u64,
    /// Live guests on this server.
    pub live: u64,
    /// Guests made per minute.
    pub new_per_minute: u64,
    /// Rooms a guest may be in.
    pub rooms_each: u64,
    /// Guests a room may hold.
    pub per_room: u64,
}

impl Default for CapsConfig {
    fn default() -> Self {
        Self {
            per_ip: 3,
            per_ip_per_day: 10,
            live: 2000,
            new_per_minute: 30,
            rooms_each: 5,
            per_room: 200,
        }
    }
}

/// `[class.NAME]`. A key that is not written keeps its built-in or inherited value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassConfig {
    /// The class this one starts from: "guest", "member", or another class of yours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherits: Option<String>,
    /// Everything the class may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<String>>,
    /// What the class may do beside that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_also: Vec<String>,
    /// What the class may not do after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_not: Vec<String>,
    /// Event types the class may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_send: Option<Vec<String>>,
    /// How often, by kind of act: "6/min burst 10", optionally "per ip", "per room", "per server"
    /// or "per class"; "off" lifts an inherited one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, Texts>,
    /// What the server appends to display names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_suffix: Option<String>,
    /// The rooms the class is confined to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeConfig>,
    /// Who gets this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign: Option<AssignConfig>,
}

/// `scope` of a class: any one opens a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeConfig {
    /// Rooms with an alias of ours that matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Texts>,
    /// Rooms by id or alias.
    pub list: Vec<String>,
    /// Servers to ask for a listed room that is not here, by the room's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub list_via: BTreeMap<String, Vec<String>>,
    /// Rooms that stay closed to this class, by id or alias.
    pub never: Vec<String>,
    /// Rooms of these spaces.
    pub space: Vec<SpaceConfig>,
    /// Whether a member of ours that is not a guest must be in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need_host: Option<bool>,
}

/// `assign` of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssignConfig {
    /// Everybody who signs in through this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso: Option<String>,
    /// Every member whose account is younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_below: Option<String>,
}

/// `[aliases]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AliasesConfig {
    /// The lowest class that may create any alias. "member" while no class is scoped by alias; then
    /// it must be written and be above "member".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<String>,
    /// Aliases that others may create for themselves; they open no door.
    pub members_may: Vec<String>,
    /// Aliases for admins only, compared without regard to case and look-alikes.
    pub protected: Vec<String>,
    /// Whether aliases follow a room upgrade: "local-moderator" (when whoever upgrades may create
    /// them) or "never".
    pub follow_upgrade: String,
}

impl Default for AliasesConfig {
    fn default() -> Self {
        Self {
            create: None,
            members_may: vec!["#~{localpart}~*:{server.name}".to_owned()],
            protected: Vec::new(),
            follow_upgrade: "local-moderator".to_owned(),
        }
    }
}

/// `[directory]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The lowest class that may list rooms; unwritten, it is `aliases.create`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// Whether the directory is shown without login.
    pub visible_without_login: bool,
    /// Whether the directory is shown to other servers.
    pub visible_to_servers: bool,
}

/// `[users]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsersConfig {
    /// The lowest class that may search the user directory.
    pub searchable_by: String,
    /// Whose profiles low-trust classes may look up: "shared-room" or "anyone". Theirs are shown only to
    /// those who share a room with them.
    pub profile_lookup: String,
    /// Whether the profiles of others are shown without login, as the specification has it.
    pub profiles_without_login: bool,
    /// Display names that low-trust classes may not take, nor what looks like them.
    pub protected_names: Vec<String>,
}

impl Default for UsersConfig {
    fn default() -> Self {
        let names = [
            "admin",
            "administrator",
            "moderator",
            "support",
            "security",
            "staff",
            "system",
            "root",
            "server notices",
        ];
        Self {
            searchable_by: "member".to_owned(),
            profile_lookup: "shared-room".to_owned(),
            profiles_without_login: true,
            protected_names: names.map(str::to_owned).to_vec(),
        }
    }
}

/// `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Whether refusals are written down.
    pub denials: bool,
    /// "enforce", or "observe": ceiling, scope and caps only write down what they would refuse.
    pub mode: String,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { denials: true, mode: "enforce".to_owned() }
    }
}

/// What of `[rooms]` the policy decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomRulesConfig {
    /// When the last one able to change power levels leaves: "warn", "`refuse_once`" or "off".
    pub last_admin_guard: String,
}

impl Default for RoomRulesConfig {
    fn default() -> Self {
        Self { last_admin_guard: "warn".to_owned() }
    }
}
