//! Who is in a room: joining, leaving, inviting, knocking, removing, banning. One file per road.
//!
//! Every road to `join` goes through [`RoomTx::join`], whatever endpoint it came from.

mod abroad;
mod ban;
mod by_address;
mod forget;
mod invite;
mod invite_permission;
mod join;
mod kick;
mod knock;
mod last_admin;
mod leave;
mod member_state;
mod vouching;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId,
    UserId,
};
use vestibule_accounts::facts::member_profile;
use vestibule_policy::{Obligation, shown_name};
use vestibule_storage::{Read, StorageError, tables::room::StoredMembership};
use vestibule_types::{Actor, limits::BRIEF_REASON_BYTES_MAX};

pub(crate) use self::by_address::NoIdentityServers;
pub use self::{
    abroad::pruned_state,
    by_address::{
        Address, AddressInvite, AddressProof, ExchangeInvite, ExchangeInviteError, IdentityAccess,
        IdentityError, IdentityServers, InviteByAddress, KeptInvite,
    },
    invite_permission::blocks_invites,
};
pub(crate) use self::{
    abroad::{Abroad, LEAVE_TOLD, Turns, UNDO_JOIN, UndoJoin, UntoldLeave},
    invite::{invite_content, invite_written},
    last_admin::Refusals,
    vouching::Vouching,
};
pub use self::{
    forget::ForgetError,
    invite::Invite,
    join::Join,
    knock::Knock,
    last_admin::{GuardNote, UnmanagedRoom},
    leave::Leave,
};
use crate::{
    AppendError, ElsewhereError, LoggedEvent, RoomTx, Rooms, UnknownRoom,
    append::{Draft, membership_of},
    ask::{Ask, AskError, Deed, bare_membership},
};

/// Why a membership did not change.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The room's rules refused, or the event could not be made.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The membership the user has now does not allow it.
    #[error("{0}")]
    WrongMembership(&'static str),
    /// A ban stands in the way, or there is none to lift.
    #[error("{0}")]
    BadState(&'static str),
    /// The room is restricted, and nobody here can vouch for the user.
    #[error("none of the rooms that let people in here has this user")]
    NotAllowedIn,
    /// Nobody else can change the room's power levels. Asking again within ten minutes goes through.
    #[error(
        "nobody else in this room can change its power levels; \
         ask again within 10 minutes to do it all the same"
    )]
    LastAdmin,
    /// The invitation is to the room in which the server speaks to the user.
    #[error("an invitation to the room of the server's notices cannot be rejected")]
    ServerNotices,
    /// What is to show that the user was invited by an address does not.
    #[error("{0}")]
    Unproven(&'static str),
    /// Whoever is to be invited wants no invitations.
    #[error("the user does not take invitations")]
    InviteBlocked,
    /// The request says something that cannot be.
    #[error("{0}")]
    Invalid(&'static str),
    /// No other server could help.
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
    /// No identity server could help.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<StorageError> for MembershipError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

/// Remove, ban or unban somebody.
#[derive(Clone, Debug)]
pub struct ChangeMember {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Whom.
    pub user_id: OwnedUserId,
    /// Why, in the sender's words.
    pub reason: Option<String>,
}

/// What is done about somebody in their room: by whom, to whom, and why.
type Change = fn(&mut RoomTx<'_, '_>, &Ask, &UserId, Option<&str>) -> Result<(), MembershipError>;

impl Rooms {
    async fn change_member(
        &self,
        actor: &Actor,
        deed: Deed,
        command: ChangeMember,
        change: Change,
    ) -> Result<(), MembershipError> {
        let ask = self.ask(actor, &deed).await?;
        let ChangeMember { room_id, user_id, reason } = command;
        self.in_room_recommended(&room_id, move |room| {
            change(room, &ask, &user_id, reason.as_deref())
        })
        .await?;
        Ok(())
    }
}

/// A user's membership right now, and the event that says so.
pub(crate) struct MemberNow {
    pub(crate) membership: StoredMembership,
    pub(crate) event: LoggedEvent,
}

impl RoomTx<'_, '_> {
    /// The membership of any user, if they ever had one.
    pub(crate) fn member(&self, user: &UserId) -> Result<Option<MemberNow>, StorageError> {
        let event = self.state_event("m.room.member", user.as_str())?;
        Ok(event.map(|event| MemberNow { membership: membership_of(&event.pdu), event }))
    }
}

impl RoomTx<'_, '_> {
    /// Whether somebody is in the room right now.
    pub(crate) fn is_joined(&self, user: &UserId) -> Result<bool, StorageError> {
        let member = self.member(user)?;
        Ok(member.is_some_and(|member| member.membership == StoredMembership::Join))
    }
}

/// A membership event about `target`.
pub(crate) fn member_draft(
    (sender, target): (&UserId, &UserId),
    content: CanonicalJsonObject,
    at: MilliSecondsSinceUnixEpoch,
) -> Draft {
    Draft::state(sender, "m.room.member", target.as_str(), content, at)
}

/// The beginning of a membership event's content.
pub(crate) fn member_content(membership: &str, reason: Option<&str>) -> CanonicalJsonObject {
    let mut content = CanonicalJsonObject::new();
    put_text(&mut content, "membership", membership);
    if let Some(reason) = reason {
        put_text(&mut content, "reason", reason);
    }
    content
}

/// The reason somebody gives for their own membership. Who is trusted little says it briefly.
pub(crate) fn own_reason<'r>(
    reason: Option<&'r str>,
    obligations: &[Obligation],
) -> Result<Option<&'r str>, MembershipError> {
    let brief = bare_membership(obligations).is_some();
    if brief && reason.is_some_and(|reason| reason.len() > BRIEF_REASON_BYTES_MAX) {
        return Err(MembershipError::Invalid("the reason is too long"));
    }
    Ok(reason)
}

pub(crate) fn put_text(content: &mut CanonicalJsonObject, key: &str, text: &str) {
    content.insert(key.to_owned(), CanonicalJsonValue::String(text.to_owned()));
}

/// Adds the profile of a local user, with the suffix of their class.
pub(crate) fn put_profile(
    reader: &impl Read,
    content: &mut CanonicalJsonObject,
    user: &UserId,
    suffix: Option<&str>,
) -> Result<(), StorageError> {
    let profile = member_profile(reader, user)?;
    let name = match (profile.displayname, suffix) {
        (name, None) => name,
        (name, Some(suffix)) => Some(shown_name(name.as_deref(), user.localpart(), suffix)),
    };
    if let Some(name) = name {
        put_text(content, "displayname", &name);
    }
    if let Some(avatar) = profile.avatar_url.filter(|url| !url.is_empty()) {
        put_text(content, "avatar_url", &avatar);
    }
    Ok(())
}

/// The content of a membership event with the user's profile.
pub(crate) fn member_content_with_profile(
    reader: &impl Read,
    membership: &str,
    user: &UserId,
    suffix: Option<&str>,
) -> Result<CanonicalJsonObject, StorageError> {
    let mut content = member_content(membership, None);
    put_profile(reader, &mut content, user, suffix)?;
    Ok(content)
}
