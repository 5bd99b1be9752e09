//! A question as data: what [`Action`] borrows, owned, so that it can be kept, sent and asked again.

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomAliasId, RoomId, ServerName,
    UserId,
};
use serde::{Deserialize, Serialize};
use vestibule_types::ClassName;

use crate::{Action, Invitee, RoomKind, Subject};

/// Who was to be invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invited {
    /// An account of ours.
    Local(Subject),
    /// Somebody on another server.
    Remote(OwnedUserId),
    /// A name of ours without an account.
    Unknown(OwnedUserId),
}

/// From what is borrowed to what is kept.
trait Own<O> {
    fn own(self) -> O;
}

/// From what is kept to what is borrowed.
trait Lend<'a, B> {
    fn lend(&'a self) -> B;
}

macro_rules! borrowed {
    ($($borrowed:ty => $owned:ty;)+) => {$(
        impl Own<$owned> for &$borrowed {
            fn own(self) -> $owned {
                self.to_owned()
            }
        }

        impl<'a> Lend<'a, &'a $borrowed> for $owned {
            fn lend(&'a self) -> &'a $borrowed {
                self
            }
        }
    )+};
}

borrowed! {
    RoomId => OwnedRoomId;
    RoomAliasId => OwnedRoomAliasId;
    UserId => OwnedUserId;
    ServerName => OwnedServerName;
    str => String;
    Subject => Subject;
    ClassName => ClassName;
}

macro_rules! copied {
    ($($copied:ty)+) => {$(
        impl Own<$copied> for $copied {
            fn own(self) -> $copied {
                self
            }
        }

        impl Lend<'_, $copied> for $copied {
            fn lend(&self) -> $copied {
                *self
            }
        }
    )+};
}

copied!(bool RoomKind);

impl Own<Option<String>> for Option<&str> {
    fn own(self) -> Option<String> {
        self.map(str::to_owned)
    }
}

impl<'a> Lend<'a, Option<&'a str>> for Option<String> {
    fn lend(&'a self) -> Option<&'a str> {
        self.as_deref()
    }
}

impl Own<Invited> for Invitee<'_> {
    fn own(self) -> Invited {
        match self {
            Self::Local(subject) => Invited::Local(subject.clone()),
            Self::Remote(user) => Invited::Remote(user.to_owned()),
            Self::Unknown(user) => Invited::Unknown(user.to_owned()),
        }
    }
}

impl<'a> Lend<'a, Invitee<'a>> for Invited {
    fn lend(&'a self) -> Invitee<'a> {
        match self {
            Self::Local(subject) => Invitee::Local(subject),
            Self::Remote(user) => Invitee::Remote(user),
            Self::Unknown(user) => Invitee::Unknown(user),
        }
    }
}

macro_rules! acts {
    ($($act:ident { $($field:ident: $owned:ty),* })+) => {
        /// What somebody wanted to do. The variants are those of [`Action`].
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "each is described where it is asked")]
        pub enum Act { $($act { $($field: $owned),* },)+ }

        impl Act {
            /// Keeps a question.
            #[must_use]
            pub fn of(action: Action<'_>) -> Self {
                match action { $(Action::$act { $($field),* } => Self::$act { $($field: $field.own()),* },)+ }
            }

            /// Asks it again.
            #[must_use]
            pub fn action(&self) -> Action<'_> {
                match self { $(Self::$act { $($field),* } => Action::$act { $($field: $field.lend()),* },)+ }
            }
        }
    };
}

acts! {
    Join { room: OwnedRoomId }
    Stay { room: OwnedRoomId }
    Discover { room: OwnedRoomId }
    Peek { room: OwnedRoomId }
    Knock { room: OwnedRoomId }
    Leave { room: OwnedRoomId }
    Invite { room: OwnedRoomId, target: Invited }
    BeInvited { room: OwnedRoomId }
    Kick { room: OwnedRoomId, target: OwnedUserId }
    Ban { room: OwnedRoomId, target: OwnedUserId }
    Unban { room: OwnedRoomId, target: OwnedUserId }
    SendEvent { room: OwnedRoomId, event_type: String }
    SendState { room: OwnedRoomId, event_type: String, opens: bool }
    Redact { room: OwnedRoomId, own: bool }
    CreateRoom { kind: RoomKind }
    UpgradeRoom { room: OwnedRoomId }
    CreateAlias { alias: OwnedRoomAliasId, room: OwnedRoomId }
    DeleteAlias { alias: OwnedRoomAliasId, room: OwnedRoomId }
    MoveAlias { alias: OwnedRoomAliasId, room: OwnedRoomId }
    Publish { room: OwnedRoomId }
    SetDisplayname { name: Option<String> }
    Rename { room: OwnedRoomId, name: Option<String> }
    SetAvatar {}
    SetProfileField {}
    Typing { room: OwnedRoomId }
    Receipt { room: OwnedRoomId }
    ReadMarker { room: OwnedRoomId }
    Report {}
    UploadKeys {}
    QueryKeys { target: OwnedUserId }
    ClaimKeys { target: OwnedUserId }
    ToDevice { target: OwnedUserId }
    LookupProfile { target: OwnedUserId }
    SearchUsers {}
    SearchMessages {}
    PreviewUrl {}
    Upload {}
    AccountData {}
    ResolveRemoteAlias { alias: OwnedRoomAliasId }
    BrowseRemoteDirectory { server: OwnedServerName }
    Logout {}
    Deactivate {}
    RegisterGuest {}
    AssignClass { target: Subject, class: ClassName }
    AdoptAlias { alias: OwnedRoomAliasId, room: OwnedRoomId }
    ApproveSpaceChild { space: OwnedRoomId, child: OwnedRoomId }
    RedeemGuestLink { room: OwnedRoomId }
    ManageGuestLinks { room: OwnedRoomId }
    BlockRoom { room: OwnedRoomId }
}
