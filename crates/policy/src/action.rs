//! The question: who asks, and what they want to do.

use std::net::IpAddr;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId,
    ServerName, UserId,
};
use serde::{Deserialize, Serialize};
use vestibule_types::ClassName;

use crate::Ability;

/// A local account, as its row says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// The class column of the account, not what a token or an event claims.
    pub class: ClassName,
    /// Whether the account was made by `register?kind=guest`.
    pub is_spec_guest: bool,
    /// When the account was made; unknown counts as just now.
    pub created_at: Option<MilliSecondsSinceUnixEpoch>,
    /// Whether the account may act at all.
    pub state: AccountState,
}

impl Subject {
    /// An active account of a class, made at the given time.
    #[must_use]
    pub fn new(
        user_id: OwnedUserId,
        class: ClassName,
        created_at: Option<MilliSecondsSinceUnixEpoch>,
    ) -> Self {
        let is_spec_guest = class.is_guest();
        Self { user_id, class, is_spec_guest, created_at, state: AccountState::Active }
    }

    /// The server's own user.
    #[must_use]
    pub fn system(user_id: OwnedUserId) -> Self {
        Self::new(user_id, ClassName::system(), None)
    }
}

/// Whether an account may act at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Nothing special.
    #[default]
    Active,
    /// May read, leave, redact its own events and log out.
    Suspended,
    /// May only log out.
    Locked,
    /// A guest whose time is over: may leave and log out.
    Expired,
    /// Gone: may do nothing that needs an account, but scheduled work still leaves its rooms.
    Deactivated,
}

/// One question to the policy.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// What they want to do.
    pub action: Action<'a>,
    /// What time it is.
    pub now: MilliSecondsSinceUnixEpoch,
    /// Where the request comes from, as established behind trusted proxies; `None` for work of the
    /// server itself.
    pub ip: Option<IpAddr>,
}

impl<'a> Request<'a> {
    /// A question about `subject`.
    #[must_use]
    pub fn new(
        subject: &'a Subject,
        action: Action<'a>,
        now: MilliSecondsSinceUnixEpoch,
        ip: Option<IpAddr>,
    ) -> Self {
        Self { subject, action, now, ip }
    }
}

/// What kind of room is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// `is_direct` was set.
    Dm,
    /// The creation content says `m.space`.
    Space,
    /// Anyone may join.
    Public,
    /// Everything else.
    Private,
}

/// Who is to be invited.
#[derive(Clone, Copy, Debug)]
pub enum Invitee<'a> {
    /// An account of ours; its class decides with the sender's.
    Local(&'a Subject),
    /// Somebody on another server.
    Remote(&'a UserId),
    /// A name of ours without an account.
    Unknown(&'a UserId),
}

impl<'a> Invitee<'a> {
    /// Who it is.
    #[must_use]
    pub fn user_id(&self) -> &'a UserId {
        match self {
            Self::Local(subject) => &subject.user_id,
            Self::Remote(user_id) | Self::Unknown(user_id) => user_id,
        }
    }
}

/// What somebody wants to do. Facts that the rules need beside it are in [`crate::Facts`].
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Become joined, by whatever road.
    Join { room: &'a RoomId },
    /// Stay joined: asked by the sweep and by whatever closes a door.
    Stay { room: &'a RoomId },
    /// Be shown the room in the directory, a space or a summary.
    Discover { room: &'a RoomId },
    /// Read a world-readable room from outside.
    Peek { room: &'a RoomId },
    /// Ask to be let in.
    Knock { room: &'a RoomId },
    /// Leave, or reject an invitation.
    Leave { room: &'a RoomId },
    /// Invite somebody.
    Invite { room: &'a RoomId, target: Invitee<'a> },
    /// Receive an invitation that somebody on another server sent to the subject.
    BeInvited { room: &'a RoomId },
    /// Remove somebody.
    Kick { room: &'a RoomId, target: &'a UserId },
    /// Ban somebody.
    Ban { room: &'a RoomId, target: &'a UserId },
    /// Lift a ban.
    Unban { room: &'a RoomId, target: &'a UserId },
    /// Send a message-like event.
    SendEvent { room: &'a RoomId, event_type: &'a str },
    /// Send a state event other than one's own membership. `opens` tells that it lets anybody join.
    SendState { room: &'a RoomId, event_type: &'a str, opens: bool },
    /// Redact an event.
    Redact { room: &'a RoomId, own: bool },
    /// Make a room.
    CreateRoom { kind: RoomKind },
    /// Replace a room by a newer version of itself.
    UpgradeRoom { room: &'a RoomId },
    /// Give a room an alias.
    CreateAlias { alias: &'a RoomAliasId, room: &'a RoomId },
    /// Take an alias away; its row is `facts.alias`.
    DeleteAlias { alias: &'a RoomAliasId, room: &'a RoomId },
    /// Point an alias to the successor `room`; its row is `facts.alias`.
    MoveAlias { alias: &'a RoomAliasId, room: &'a RoomId },
    /// List the room in the directory. Taking it off the list takes the same permit.
    Publish { room: &'a RoomId },
    /// Set one's own display name to this.
    SetDisplayname { name: Option<&'a str> },
    /// Be called this in a room one stays in: a new event of one's own membership.
    Rename { room: &'a RoomId, name: Option<&'a str> },
    /// Set one's own avatar.
    SetAvatar,
    /// Set another field of one's own profile.
    SetProfileField,
    /// Say that one is typing.
    Typing { room: &'a RoomId },
    /// Send a receipt.
    Receipt { room: &'a RoomId },
    /// Move the read marker.
    ReadMarker { room: &'a RoomId },
    /// Report a room, an event or a user.
    Report,
    /// Upload one's own keys.
    UploadKeys,
    /// Ask for the keys of somebody.
    QueryKeys { target: &'a UserId },
    /// Claim a one-time key of somebody.
    ClaimKeys { target: &'a UserId },
    /// Send a to-device message.
    ToDevice { target: &'a UserId },
    /// Look up somebody's profile.
    LookupProfile { target: &'a UserId },
    /// Search the user directory.
    SearchUsers,
    /// Search messages.
    SearchMessages,
    /// Have a preview of a web page made.
    PreviewUrl,
    /// Upload media.
    Upload,
    /// Write account data or tags.
    AccountData,
    /// Resolve an alias that is not in our own table.
    ResolveRemoteAlias { alias: &'a RoomAliasId },
    /// Look at the room directory of another server.
    BrowseRemoteDirectory { server: &'a ServerName },
    /// Log out.
    Logout,
    /// Deactivate the own account.
    Deactivate,
    /// Become a guest; the subject is the guest to be.
    RegisterGuest,
    /// Give an account another class.
    AssignClass { target: &'a Subject, class: &'a ClassName },
    /// Answer for an alias somebody else made, as if an admin had made it.
    AdoptAlias { alias: &'a RoomAliasId, room: &'a RoomId },
    /// Approve a space's edge that no curator set.
    ApproveSpaceChild { space: &'a RoomId, child: &'a RoomId },
    /// Have a guest link open the room to oneself.
    RedeemGuestLink { room: &'a RoomId },
    /// Make and revoke guest links for the room.
    ManageGuestLinks { room: &'a RoomId },
    /// Block the room for everybody here, or let people in again.
    BlockRoom { room: &'a RoomId },
}

impl<'a> Action<'a> {
    /// The act of that name in a room, as operators write it: `join`, `send_event` (a message) or
    /// `send_event:m.sticker`. Acts that need more than a room have no such form.
    #[must_use]
    pub fn in_room(name: &'a str, room: &'a RoomId) -> Option<Self> {
        let (name, event_type) = name.split_once(':').map_or((name, None), |(a, b)| (a, Some(b)));
        let action = match name {
            "join" => Self::Join { room },
            "stay" => Self::Stay { room },
            "discover" => Self::Discover { room },
            "peek" => Self::Peek { room },
            "knock" => Self::Knock { room },
            "leave" => Self::Leave { room },
            "be_invited" => Self::BeInvited { room },
            "redeem_guest_link" => Self::RedeemGuestLink { room },
            "make_public" => Self::SendState { room, event_type: "m.room.join_rules", opens: true },
            "rename" => Self::Rename { room, name: None },
            "redact_own" => Self::Redact { room, own: true },
            "redact_other" => Self::Redact { room, own: false },
            "upgrade_room" => Self::UpgradeRoom { room },
            "publish" => Self::Publish { room },
            "typing" => Self::Typing { room },
            "receipt" => Self::Receipt { room },
            "read_marker" => Self::ReadMarker { room },
            "send_event" => {
                let event_type = event_type.unwrap_or("m.room.message");
                return Some(Self::SendEvent { room, event_type });
            }
            "send_state" => {
                let event_type = event_type.unwrap_or("m.room.topic");
                return Some(Self::SendState { room, event_type, opens: false });
            }
            _ => return None,
        };
        event_type.is_none().then_some(action)
    }

    /// The room this is about.
    #[must_use]
    pub fn room(&self) -> Option<&'a RoomId> {
        match *self {
            Self::Join { room }
            | Self::Stay { room }
            | Self::Discover { room }
            | Self::Peek { room }
            | Self::Knock { room }
            | Self::Leave { room }
            | Self::Invite { room, .. }
            | Self::BeInvited { room }
            | Self::Kick { room, .. }
            | Self::Ban { room, .. }
            | Self::Unban { room, .. }
            | Self::SendEvent { room, .. }
            | Self::SendState { room, .. }
            | Self::Redact { room, .. }
            | Self::UpgradeRoom { room }
            | Self::CreateAlias { room, .. }
            | Self::DeleteAlias { room, .. }
            | Self::MoveAlias { room, .. }
            | Self::Publish { room }
            | Self::Rename { room, .. }
            | Self::Typing { room }
            | Self::Receipt { room }
            | Self::ReadMarker { room }
            | Self::RedeemGuestLink { room }
            | Self::ManageGuestLinks { room }
            | Self::BlockRoom { room } => Some(room),
            _ => None,
        }
    }

    /// The ability the class ceiling is asked for; `None` when the ceiling has no say.
    #[must_use]
    pub fn ability(&self) -> Option<Ability> {
        Some(match self {
            Self::Join { .. } | Self::BeInvited { .. } | Self::RedeemGuestLink { .. } => {
                Ability::Join
            }
            Self::ManageGuestLinks { .. } | Self::BlockRoom { .. } => Ability::Moderate,
            Self::Stay { .. } | Self::Discover { .. } | Self::RegisterGuest => return None,
            Self::Peek { .. } => Ability::Peek,
            Self::Knock { .. } => Ability::Knock,
            Self::Leave { .. } => Ability::Leave,
            Self::Invite { .. } => Ability::SendInvite,
            Self::Kick { .. } => Ability::Kick,
            Self::Ban { .. } | Self::Unban { .. } => Ability::Ban,
            Self::SendEvent { .. } => Ability::SendEvent,
            Self::SendState { .. } => Ability::SendState,
            Self::Redact { own: true, .. } => Ability::RedactOwn,
            Self::Redact { own: false, .. } => Ability::RedactOther,
            Self::CreateRoom { kind } => kind.ability(),
            Self::UpgradeRoom { .. } => Ability::UpgradeRoom,
            Self::CreateAlias { .. } => Ability::CreateAlias,
            Self::DeleteAlias { .. } => Ability::DeleteAlias,
            Self::MoveAlias { .. } => Ability::MoveAlias,
            Self::Publish { .. } => Ability::Publish,
            Self::SetDisplayname { .. } | Self::Rename { .. } => Ability::SetDisplayname,
            Self::SetAvatar => Ability::SetAvatar,
            Self::SetProfileField => Ability::SetProfileField,
            Self::Typing { .. } | Self::Receipt { .. } | Self::ReadMarker { .. } => {
                Ability::TypingReceipts
            }
            Self::Report => Ability::Report,
            Self::UploadKeys | Self::QueryKeys { .. } | Self::ClaimKeys { .. } => Ability::Keys,
            Self::ToDevice { .. } => Ability::ToDevice,
            Self::LookupProfile { .. } => Ability::LookupProfile,
            Self::SearchUsers => Ability::SearchUsers,
            Self::SearchMessages => Ability::SearchMessages,
            Self::PreviewUrl => Ability::PreviewUrl,
            Self::Upload => Ability::UploadMedia,
            Self::AccountData => Ability::AccountData,
            Self::ResolveRemoteAlias { .. } => Ability::RemoteAlias,
            Self::BrowseRemoteDirectory { .. } => Ability::RemoteDirectory,
            Self::Logout => Ability::Logout,
            Self::Deactivate => Ability::Deactivate,
            Self::AssignClass { .. } | Self::AdoptAlias { .. } | Self::ApproveSpaceChild { .. } => {
                Ability::Administer
            }
        })
    }

    /// A stable name for metrics, audit and explanations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stay { .. } => "stay",
            Self::Discover { .. } => "discover",
            Self::BeInvited { .. } => "be_invited",
            Self::RegisterGuest => "register_guest",
            Self::AssignClass { .. } => "assign_class",
            Self::AdoptAlias { .. } => "adopt_alias",
            Self::ApproveSpaceChild { .. } => "approve_space_child",
            Self::RedeemGuestLink { .. } => "redeem_guest_link",
            Self::ManageGuestLinks { .. } => "manage_guest_links",
            Self::BlockRoom { .. } => "block_room",
            Self::Unban { .. } => "unban",
            Self::Rename { .. } => "rename",
            Self::Typing { .. } => "typing",
            Self::Receipt { .. } => "receipt",
            Self::ReadMarker { .. } => "read_marker",
            other => other.ability().map_or("unnamed", Ability::name),
        }
    }

    /// What a permit for this is bound to.
    #[must_use]
    pub fn object(&self) -> Object {
        match *self {
            Self::Invite { room, target } => Object::member(room, target.user_id()),
            Self::Kick { room, target }
            | Self::Ban { room, target }
            | Self::Unban { room, target } => Object::member(room, target),
            Self::SendEvent { room, event_type } | Self::SendState { room, event_type, .. } => {
                Object::event(room, event_type)
            }
            Self::CreateRoom { kind } => Object::NewRoom(kind),
            Self::CreateAlias { alias, room }
            | Self::DeleteAlias { alias, room }
            | Self::MoveAlias { alias, room }
            | Self::AdoptAlias { alias, room } => Object::alias(alias, room),
            Self::ApproveSpaceChild { space, child } => {
                Object::Edge { space: space.to_owned(), child: child.to_owned() }
            }
            Self::QueryKeys { target }
            | Self::ClaimKeys { target }
            | Self::ToDevice { target }
            | Self::LookupProfile { target } => Object::User(target.to_owned()),
            Self::AssignClass { target, .. } => Object::User(target.user_id.clone()),
            other => other.room().map_or(Object::Own, |room| Object::Room(room.to_owned())),
        }
    }
}

impl RoomKind {
    /// The ability it takes to make such a room.
    #[must_use]
    pub fn ability(self) -> Ability {
        match self {
            Self::Dm => Ability::CreateDm,
            Self::Space => Ability::CreateSpace,
            Self::Public => Ability::CreatePublic,
            Self::Private => Ability::CreatePrivate,
        }
    }
}

/// What a permit is bound to, beside its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// The subject's own account.
    Own,
    /// A room.
    Room(OwnedRoomId),
    /// A room that does not exist yet.
    NewRoom(RoomKind),
    /// An event of a type in a room.
    Event {
        /// The room.
        room: OwnedRoomId,
        /// The type.
        event_type: Box<str>,
    },
    /// Somebody's membership in a room.
    Member {
        /// The room.
        room: OwnedRoomId,
        /// Whose membership.
        user: OwnedUserId,
    },
    /// A room as part of a space.
    Edge {
        /// The space.
        space: OwnedRoomId,
        /// The room.
        child: OwnedRoomId,
    },
    /// An alias and the room it points to, or will point to.
    Alias {
        /// The alias.
        alias: OwnedRoomAliasId,
        /// The room.
        room: OwnedRoomId,
    },
    /// Another user.
    User(OwnedUserId),
}

impl Object {
    /// A room.
    #[must_use]
    pub fn room(room: &RoomId) -> Self {
        Self::Room(room.to_owned())
    }

    /// An event of a type in a room.
    #[must_use]
    pub fn event(room: &RoomId, event_type: &str) -> Self {
        Self::Event { room: room.to_owned(), event_type: event_type.into() }
    }

    /// Somebody's membership in a room.
    #[must_use]
    pub fn member(room: &RoomId, user: &UserId) -> Self {
        Self::Member { room: room.to_owned(), user: user.to_owned() }
    }

    /// An alias and its room.
    #[must_use]
    pub fn alias(alias: &RoomAliasId, room: &RoomId) -> Self {
        Self::Alias { alias: alias.to_owned(), room: room.to_owned() }
    }
}
