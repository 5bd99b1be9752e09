//! The closed list of things a class may be allowed to do, with the names the configuration uses.

use std::fmt;

macro_rules! abilities {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// One thing a class may be allowed to do. The list is closed: what is not in it cannot be
        /// granted, and an unknown name in the configuration refuses the start.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Ability { $($(#[$doc])+ $variant,)+ }

        impl Ability {
            /// Every ability, in the order of the list above.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in `may`, `may_also` and `may_not`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

abilities! {
    /// Become joined to a room, by any road.
    Join = "join",
    /// Leave a room or reject an invitation. Never withheld.
    Leave = "leave",
    /// Ask to be let into a room.
    Knock = "knock",
    /// Send message-like events of the types in `may_send`.
    SendEvent = "send_event",
    /// Send state events.
    SendState = "send_state",
    /// Redact one's own events. Comes with `send_event` when `m.room.redaction` may be sent.
    RedactOwn = "redact_own",
    /// Redact events of others, where the room allows it.
    RedactOther = "redact_other",
    /// Invite somebody.
    SendInvite = "send_invite",
    /// Kick somebody, where the room allows it.
    Kick = "kick",
    /// Ban and unban, where the room allows it.
    Ban = "ban",
    /// Create a direct chat.
    CreateDm = "create_room.dm",
    /// Create a space.
    CreateSpace = "create_room.space",
    /// Create a public room.
    CreatePublic = "create_room.public",
    /// Create a private room.
    CreatePrivate = "create_room.private",
    /// Create an alias, within the `[aliases]` rules.
    CreateAlias = "create_alias",
    /// Delete an alias, within the `[aliases]` rules.
    DeleteAlias = "delete_alias",
    /// Take an alias along to a room's successor, within the `[aliases]` rules.
    MoveAlias = "move_alias",
    /// List a room in the directory, within the `[directory]` rules.
    Publish = "publish",
    /// Replace a room by a newer version of itself.
    UpgradeRoom = "upgrade_room",
    /// Set one's own display name.
    SetDisplayname = "set_displayname",
    /// Set one's own avatar.
    SetAvatar = "set_avatar",
    /// Set other fields of one's own profile.
    SetProfileField = "set_profile_field",
    /// Typing notices, receipts and read markers.
    TypingReceipts = "typing_receipts",
    /// Report a room, event or user. Never withheld.
    Report = "report",
    /// Read a world-readable room without being in it.
    Peek = "peek",
    /// Upload, query and claim encryption keys.
    Keys = "keys",
    /// Keep a key backup on the server.
    KeyBackup = "key_backup",
    /// Send to-device messages.
    ToDevice = "to_device",
    /// Log out. Never withheld.
    Logout = "logout",
    /// Deactivate one's own account. Never withheld.
    Deactivate = "deactivate",
    /// Upload media.
    UploadMedia = "upload_media",
    /// Have the server fetch a preview of a web page.
    PreviewUrl = "preview_url",
    /// Search the user directory.
    SearchUsers = "search_users",
    /// Look up the profile of somebody else. Comes with `join`.
    LookupProfile = "lookup_profile",
    /// Search messages on the server.
    SearchMessages = "search_messages",
    /// Write account data and tags.
    AccountData = "account_data",
    /// Delete one's own devices.
    ManageDevices = "manage_devices",
    /// Change push rules.
    PushRules = "push_rules",
    /// Register pushers and read notifications.
    Pushers = "pushers",
    /// Publish one's own presence.
    Presence = "presence",
    /// Change password and contact addresses.
    ManageAccount = "manage_account",
    /// Ask for an `OpenID` token.
    Openid = "openid",
    /// Ask for voice and video relay credentials.
    Voip = "voip",
    /// Browse the room directory of another server.
    RemoteDirectory = "remote_directory",
    /// Resolve an alias of another server or of a bridge.
    RemoteAlias = "remote_alias",
    /// Look up bridged networks.
    ThirdParty = "third_party",
    /// Approve space children, adopt aliases, block rooms.
    Moderate = "moderate",
    /// Everything an operator may do over the admin interfaces.
    Administer = "administer",
}

impl Ability {
    /// What no policy may withhold; these stay rate-limited.
    pub const NEVER_WITHHELD: &'static [Self] =
        &[Self::Leave, Self::Logout, Self::Report, Self::Deactivate];

    /// The ability of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|ability| ability.name() == name)
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbilitySet(u64);

const _: () = assert!(Ability::ALL.len() <= 64, "an ability set is one word");

impl AbilitySet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// A set of everything.
    #[must_use]
    pub fn all() -> Self {
        Ability::ALL.iter().copied().collect()
    }

    /// Whether the ability is in the set.
    #[must_use]
    pub const fn contains(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u8) != 0
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, ability: Ability) -> Self {
        Self(self.0 | (1 << ability as u8))
    }

    /// The set without that one.
    #[must_use]
    pub const fn without(self, ability: Ability) -> Self {
        Self(self.0 & !(1 << ability as u8))
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is here and not there.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether everything here is also there.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The abilities in the set, in the order of the closed list.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.iter().copied().filter(move |ability| self.contains(*ability))
    }
}

impl FromIterator<Ability> for AbilitySet {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        abilities.into_iter().fold(Self::NONE, Self::with)
    }
}
