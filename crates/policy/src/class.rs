//! A class after compilation, and the ladder of trust.

use std::collections::BTreeMap;

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomId};
use vestibule_types::{ClassName, Glob};

use crate::{Ability, AbilitySet, Rate, RateKey, SpaceRule};

/// A rung that settings like `aliases.create` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Everybody with an account, guests included.
    Guest,
    /// Ordinary accounts, and classes that inherit from member.
    Member,
    /// Moderators and admins.
    Moderator,
    /// Admins.
    Admin,
}

impl Rung {
    /// Reads the name of a built-in class.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            ClassName::GUEST => Some(Self::Guest),
            ClassName::MEMBER => Some(Self::Member),
            ClassName::MODERATOR => Some(Self::Moderator),
            ClassName::ADMIN => Some(Self::Admin),
            _ => None,
        }
    }

    /// The name of the built-in class.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => ClassName::GUEST,
            Self::Member => ClassName::MEMBER,
            Self::Moderator => ClassName::MODERATOR,
            Self::Admin => ClassName::ADMIN,
        }
    }
}

/// Where a class stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The built-in guest class, or one that inherits from it.
    GuestLike,
    /// A class of the operator's that inherits from member.
    MemberLike,
    /// A built-in class of the ladder.
    Full(Rung),
    /// Ghosts and bots of application services: outside of the ladder.
    Appservice,
    /// The server's own user.
    System,
}

/// A class after compilation.
#[derive(Clone, Debug)]
pub struct Class {
    pub(crate) name: ClassName,
    pub(crate) standing: Standing,
    pub(crate) abilities: AbilitySet,
    /// What the configuration says it may, before what that implies.
    pub(crate) written: AbilitySet,
    /// What of it came from `may_also`, here or in a parent.
    pub(crate) granted_also: AbilitySet,
    /// What `may_not` took away, here or in a parent.
    pub(crate) withheld: AbilitySet,
    pub(crate) may_send: Option<Vec<Glob>>,
    pub(crate) rates: BTreeMap<RateKey, Vec<Rate>>,
    pub(crate) name_suffix: Option<String>,
    pub(crate) scope: Option<Scope>,
    pub(crate) sso: Option<String>,
    pub(crate) age_below_ms: Option<u64>,
}

impl Class {
    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &ClassName {
        &self.name
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What it may do, before scope and caps.
    #[must_use]
    pub fn abilities(&self) -> AbilitySet {
        self.abilities
    }

    /// The event types it may send; `None` for all.
    #[must_use]
    pub fn may_send(&self) -> Option<&[Glob]> {
        self.may_send.as_deref()
    }

    /// Its rates for a kind of act.
    #[must_use]
    pub fn rates(&self, key: RateKey) -> &[Rate] {
        self.rates.get(&key).map_or(&[], Vec::as_slice)
    }

    /// What the server appends to display names.
    #[must_use]
    pub fn name_suffix(&self) -> Option<&str> {
        self.name_suffix.as_deref()
    }

    /// The rooms it is confined to; `None` for a class that may be anywhere.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Whether accounts of class `member` are put into it while they are young.
    #[must_use]
    pub fn is_by_age(&self) -> bool {
        self.age_below_ms.is_some()
    }

    /// Whether what is not known or not listed counts against it.
    #[must_use]
    pub fn is_low_trust(&self) -> bool {
        matches!(self.standing, Standing::GuestLike | Standing::MemberLike)
    }

    /// Whether it is the guest class or inherits from it.
    #[must_use]
    pub fn is_guest_like(&self) -> bool {
        self.standing == Standing::GuestLike
    }

    /// Whether it stands on that rung or above.
    #[must_use]
    pub fn at_least(&self, rung: Rung) -> bool {
        match self.standing {
            Standing::GuestLike => rung == Rung::Guest,
            Standing::MemberLike => rung <= Rung::Member,
            Standing::Full(own) => rung <= own,
            Standing::Appservice => false,
            Standing::System => true,
        }
    }

    /// Whether the ceiling lets it do that.
    #[must_use]
    pub fn may(&self, ability: Ability) -> bool {
        self.abilities.contains(ability) || Ability::NEVER_WITHHELD.contains(&ability)
    }

    /// Whether it may send events of that type.
    #[must_use]
    pub fn may_send_type(&self, event_type: &str) -> bool {
        self.may_send.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(event_type)))
    }
}

/// The rooms a class is confined to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub(crate) any: bool,
    pub(crate) alias: Vec<Glob>,
    pub(crate) list: RoomNames,
    pub(crate) never: RoomNames,
    pub(crate) spaces: Vec<SpaceRule>,
    pub(crate) need_host: bool,
    pub(crate) federated_join: FederatedJoin,
}

impl Scope {
    /// Whether an alias can open a room.
    #[must_use]
    pub fn opens_by_alias(&self) -> bool {
        !self.alias.is_empty()
    }

    /// The spaces whose rooms are open.
    #[must_use]
    pub fn spaces(&self) -> &[SpaceRule] {
        &self.spaces
    }

    /// The rooms that are open by name.
    #[must_use]
    pub fn list(&self) -> &RoomNames {
        &self.list
    }

    /// The rooms that are never open.
    #[must_use]
    pub fn never(&self) -> &RoomNames {
        &self.never
    }
}

/// Rooms named in the configuration, by id and by alias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomNames {
    pub(crate) rooms: Vec<OwnedRoomId>,
    pub(crate) aliases: Vec<OwnedRoomAliasId>,
    pub(crate) vias: BTreeMap<OwnedRoomId, Vec<OwnedServerName>>,
}

impl RoomNames {
    /// The servers to ask for a room that is not here, as far as its id alone does not say. They carry
    /// requests; they prove nothing about the room.
    #[must_use]
    pub fn vias(&self, room: &RoomId) -> &[OwnedServerName] {
        self.vias.get(room).map_or(&[], Vec::as_slice)
    }

    /// The rooms named by id.
    #[must_use]
    pub fn rooms(&self) -> &[OwnedRoomId] {
        &self.rooms
    }

    /// The rooms named by alias.
    #[must_use]
    pub fn aliases(&self) -> &[OwnedRoomAliasId] {
        &self.aliases
    }
}

/// `federated_join`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FederatedJoin {
    /// Only rooms made here.
    Never,
    /// Only rooms we are in already.
    #[default]
    ResidentOnly,
    /// Any room that is in scope.
    InScope,
}
