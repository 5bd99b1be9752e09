//! Why something was refused, in the words of client, operator and metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal, $message:literal;)+) => {
        /// Why a request was refused. The code is stable: clients see it as
        /// `org.vestibule.reason`, metrics and audit use it as a label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])+ $variant,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What the person is told.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
}

reasons! {
    /// Guests are switched off.
    GuestsDisabled = "guests_disabled", "This server does not admit guests";
    /// The room does not say that guests can join.
    GuestAccessMissing = "guest_access_missing", "The room does not admit guests";
    /// It is not known whether the room admits guests.
    GuestAccessUnknown = "guest_access_unknown", "It is not known whether the room admits guests";
    /// The operator blocked the room.
    RoomBlocked = "room_blocked", "This room is blocked on this server";
    /// The account is suspended.
    AccountSuspended = "account_suspended", "Your account is suspended";
    /// The account is locked.
    AccountLocked = "account_locked", "Your account is locked";
    /// The guest's time is over.
    AccountExpired = "account_expired", "Your guest session has ended";
    /// The account is gone.
    AccountDeactivated = "account_deactivated", "This account has been deactivated";
    /// The name, or one that looks like it, is protected.
    NameProtected = "name_protected", "This name is reserved";
    /// The name has characters that make it look like another.
    NameDisguised = "name_disguised", "This name has characters that hide what it is";
    /// A guest may not be given more than a guest-derived class.
    GuestStaysGuest = "guest_stays_guest", "A guest account cannot be given this class";
    /// The class cannot be assigned.
    ClassUnassignable = "class_unassignable", "This class cannot be assigned";
    /// Application services may not act as guests.
    MasqueradeRefused = "masquerade_refused", "An application service cannot act as this account";
    /// A fact the rules need was not handed in.
    FactsMissing = "facts_missing", "This request could not be checked";
    /// The room is on the `never` list.
    RoomNever = "room_never", "This room is not open to your kind of account";
    /// It is not known where an alias on the `never` list points.
    NeverUnknown = "never_unknown", "It is not known whether this room is open to your kind of account";
    /// The account's class does not exist any more.
    ClassUnknown = "class_unknown", "Your kind of account is not known to this server";
    /// The class may not do this.
    NotInClass = "not_in_class", "Your kind of account may not do this";
    /// The class may not send events of this type.
    EventTypeNotInClass = "event_type_not_in_class", "Your kind of account may not send this type of event";
    /// The alias names another server.
    AliasForeign = "alias_foreign", "The alias belongs to another server";
    /// The alias is kept for admins.
    AliasProtected = "alias_protected", "This alias is reserved";
    /// The class may not create aliases, or not this one.
    AliasClassTooLow = "alias_class_too_low", "Your kind of account may not create this alias";
    /// The alias is somebody else's.
    AliasNotYours = "alias_not_yours", "You may not change this alias";
    /// Aliases do not follow room upgrades on this server.
    AliasStays = "alias_stays", "Aliases do not follow room upgrades here";
    /// The alias lies outside of the application service's namespaces.
    AliasOutsideNamespace = "alias_outside_namespace", "The alias is outside of your namespaces";
    /// The alias lies where members make their own, and opens no door whoever answers for it.
    AliasOpensNothing = "alias_opens_nothing", "The alias lies under aliases.members_may, which opens no door";
    /// The class may not publish rooms.
    PublishClassTooLow = "publish_class_too_low", "Your kind of account may not list rooms in the directory";
    /// The class may not search users.
    SearchClassTooLow = "search_class_too_low", "Your kind of account may not search for users";
    /// No rule opens the room.
    OutOfScope = "out_of_scope", "This room is not open to your kind of account";
    /// Whether a rule opens the room cannot be established now.
    ScopeUnknown = "scope_unknown", "It is not known whether this room is open to your kind of account";
    /// The room is a direct chat.
    DirectChat = "direct_chat", "Direct chats are not open to your kind of account";
    /// Nobody of ours hosts the room.
    NoHost = "no_host", "No member of this server is in the room";
    /// We are not in the room, and joining from outside is off.
    NotResident = "not_resident", "This server is not in the room";
    /// The room left the account's scope: reading and leaving only.
    Frozen = "frozen", "This room is no longer open to your kind of account";
    /// The invited account may not be in the room.
    InviteeOutOfScope = "invitee_out_of_scope", "The room is not open to the invited account";
    /// Subject and target share no room in scope.
    NoSharedRoom = "no_shared_room", "You share no room with this user";
    /// The room's history is not world-readable.
    NotWorldReadable = "not_world_readable", "This room cannot be read from outside";
    /// The guest is in as many rooms as a guest may be.
    CapRoomsEach = "cap_rooms_each", "You are in as many rooms as a guest may be";
    /// The room holds as many guests as it may.
    CapPerRoom = "cap_per_room", "This room has as many guests as it may have";
    /// The server holds as many guests as it may.
    CapLive = "cap_live", "This server has as many guests as it may have";
    /// Too many guests were made within a minute.
    CapNewPerMinute = "cap_new_per_minute", "Too many guests are arriving; try again in a minute";
    /// The address holds as many guests as it may.
    CapPerIp = "cap_per_ip", "Too many guests from your address";
    /// The address made as many guests as it may within a day.
    CapPerIpPerDay = "cap_per_ip_per_day", "Too many guests from your address today";
    /// A count behind a cap is not known.
    CapUnknown = "cap_unknown", "This request could not be counted";
    /// Too fast.
    RateLimited = "rate_limited", "Too many requests";
    /// The rate was not charged before a permit was asked for.
    RateNotCharged = "rate_not_charged", "This request could not be counted";
    /// Too many refused requests.
    TooManyRefusals = "too_many_refusals", "Too many requests";
    /// The endpoint is not for this class.
    EndpointNotInClass = "endpoint_not_in_class", "Your kind of account may not use this endpoint";
    /// The endpoint is not classified, and the class is of low trust.
    EndpointUnclassified = "endpoint_unclassified", "Your kind of account may not use this endpoint";
    /// The permit asked for is for another kind of action.
    PermitKind = "permit_kind", "This request could not be checked";
    /// The policy changed between decision and act.
    PermitStale = "permit_stale", "The rules changed meanwhile; try again";
}

impl Reason {
    /// Whether it says only that something is not known.
    #[must_use]
    pub const fn is_ignorance(self) -> bool {
        matches!(
            self,
            Self::FactsMissing
                | Self::ScopeUnknown
                | Self::NeverUnknown
                | Self::GuestAccessUnknown
                | Self::CapUnknown
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The error code of the answer, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// `M_FORBIDDEN`, 403.
    Forbidden,
    /// `M_GUEST_ACCESS_FORBIDDEN`, 403.
    GuestAccessForbidden,
    /// `M_LIMIT_EXCEEDED`, 429.
    LimitExceeded,
    /// `M_USER_SUSPENDED`, 403.
    UserSuspended,
    /// `M_USER_LOCKED`, 401 with `soft_logout`.
    UserLocked,
}

impl DenialKind {
    /// The Matrix error code.
    #[must_use]
    pub const fn errcode(self) -> &'static str {
        match self {
            Self::Forbidden => "M_FORBIDDEN",
            Self::GuestAccessForbidden => "M_GUEST_ACCESS_FORBIDDEN",
            Self::LimitExceeded => "M_LIMIT_EXCEEDED",
            Self::UserSuspended => "M_USER_SUSPENDED",
            Self::UserLocked => "M_USER_LOCKED",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Forbidden | Self::GuestAccessForbidden | Self::UserSuspended => 403,
            Self::LimitExceeded => 429,
            Self::UserLocked => 401,
        }
    }
}

/// A refusal, ready to be answered. The texts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// Which error code and status.
    pub kind: DenialKind,
    /// Why; `org.vestibule.reason` in the body.
    pub reason: Reason,
    /// What the person is told.
    pub message: &'static str,
    /// What the operator is told would make it allowed.
    pub what_would_allow: String,
    /// When to try again, for rates and caps by address.
    pub retry_after_ms: Option<u64>,
}

impl Denial {
    /// The refusal for a reason, towards a guest or somebody else.
    #[must_use]
    pub fn new(reason: Reason, towards_guest: bool, what_would_allow: impl Into<String>) -> Self {
        let kind = match reason {
            Reason::RateLimited
            | Reason::TooManyRefusals
            | Reason::CapPerIp
            | Reason::CapPerIpPerDay => DenialKind::LimitExceeded,
            Reason::AccountSuspended => DenialKind::UserSuspended,
            Reason::AccountLocked => DenialKind::UserLocked,
            _ if towards_guest => DenialKind::GuestAccessForbidden,
            _ => DenialKind::Forbidden,
        };
        let retry_after_ms = match reason {
            Reason::CapPerIp => Some(RETRY_AFTER_ADDRESS_MS),
            Reason::CapPerIpPerDay => Some(RETRY_AFTER_ADDRESS_DAY_MS),
            _ => None,
        };
        Self {
            kind,
            reason,
            message: reason.message(),
            what_would_allow: what_would_allow.into(),
            retry_after_ms,
        }
    }

    /// The refusal of a request that came too fast.
    #[must_use]
    pub fn limited(retry_after_ms: u64) -> Self {
        let denial = Self::new(Reason::RateLimited, false, "waiting");
        Self { retry_after_ms: Some(retry_after_ms), ..denial }
    }
}

/// A live guest of the address has to go first; guests that never joined go after an hour.
const RETRY_AFTER_ADDRESS_MS: u64 = 3_600_000;

/// The day's count moves on by the hour.
const RETRY_AFTER_ADDRESS_DAY_MS: u64 = 3_600_000;
