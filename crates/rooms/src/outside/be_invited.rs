//! An invitation from another server for a user of ours.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::Deserialize;
use vestibule_events::{Pdu, Verified, cosign};
use vestibule_policy::{Denial, kind};
use vestibule_storage::{
    StorageError,
    tables::{handshake::OUTSIDE_BY_USER, room::StoredMembership},
};
use vestibule_types::limits::OUTSIDE_ROOMS_MAX;

use super::row::Outside;
use crate::{
    RoomTx, Rooms,
    ask::{Afar, Ask, AskError, Deed},
    membership::blocks_invites,
};

/// An invitation, read and verified.
#[derive(Clone, Debug)]
pub struct BeInvited {
    /// Whose request it is.
    pub origin: OwnedServerName,
    /// The room of the request.
    pub room_id: OwnedRoomId,
    /// The event identifier of the request.
    pub event_id: OwnedEventId,
    /// The invitation.
    pub event: Verified,
    /// What may be known of the room: stripped state events as JSON text.
    pub stripped: Vec<String>,
}

/// Why an invitation was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BeInvitedError {
    /// It is not the invitation that the request says it is.
    #[error("{0}")]
    Invalid(&'static str),
    /// There is no such account.
    #[error("there is no such user")]
    UnknownUser,
    /// The room's access control list keeps the server out.
    #[error("the room's access control list keeps this server out")]
    AclDenied,
    /// The user wants no invitations.
    #[error("the user does not take invitations")]
    Blocked,
    /// The user has as many invitations as one may have.
    #[error("the user has too many invitations")]
    TooMany,
    /// The policy refuses it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<AskError> for BeInvitedError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Denied(denial) => Self::Denied(denial),
            AskError::Storage(cause) => Self::Storage(cause),
        }
    }
}

#[derive(Deserialize)]
struct InviteContent {
    membership: String,
    #[serde(default)]
    is_direct: bool,
}

/// What happened in the transaction.
struct Taken {
    invitee: OwnedUserId,
    is_direct: bool,
}

impl Rooms {
    /// Takes an invitation for a user of ours and returns it with our signature. It is remembered
    /// unless this server is in the room: then it also comes as an event of the room.
    pub async fn be_invited(&self, command: BeInvited) -> Result<Pdu, BeInvitedError> {
        let Taken { invitee, is_direct } = self.check_invite(&command)?;
        if self.is_nobody(&invitee).await? {
            return Err(BeInvitedError::UnknownUser);
        }
        let deed = Deed::BeInvited(command.room_id.clone());
        let mut ask = Ask::unattended(&invitee, self.inner.env.now());
        // Whether the room admits guests is asked when one wants in: to be invited is not to be in.
        ask.afar = Afar { guest_can_join: Some(true), is_direct, arriving: false };
        let decision = self.decide_now(ask.clone(), deed.clone()).await?;
        if decision.denial().is_some() {
            self.inner.ledger.refuse_server(&decision, &command.origin).await;
        }
        decision.allowed()?;
        let inner = &self.inner;
        let signed = cosign(command.event.pdu(), &inner.signing_key, &inner.server_name)
            .map_err(|_| BeInvitedError::Invalid("the invitation cannot be signed"))?;
        let kept = Arc::new(signed.clone());
        let room_id = command.room_id.clone();
        self.in_room(&room_id, move |room| room.be_invited(&ask, &command, &kept)).await?;
        self.inner.spaces_elsewhere.forget(&room_id);
        Ok(signed)
    }

    /// Checks that an event is the invitation of a user of ours by a user of the asking server
    /// (server-server API, "Inviting to a room").
    fn check_invite(&self, command: &BeInvited) -> Result<Taken, BeInvitedError> {
        let invalid = |what| Err(BeInvitedError::Invalid(what));
        if !command.event.is_whole() {
            return invalid("the content hash does not match");
        }
        let pdu = command.event.pdu();
        if *pdu.event_id() != command.event_id {
            return invalid("the event has another identifier");
        }
        if pdu.room_id() != command.room_id {
            return invalid("the event is of another room");
        }
        if pdu.kind() != "m.room.member" {
            return invalid("the event is not a membership");
        }
        if pdu.sender().server_name() != command.origin {
            return invalid("the sender is not a user of the asking server");
        }
        let invitee = pdu.state_key().and_then(|key| OwnedUserId::try_from(key).ok());
        let ours = |user: &OwnedUserId| user.server_name() == self.inner.server_name;
        let Some(invitee) = invitee.filter(ours) else {
            return invalid("`state_key` is not a user of this server");
        };
        let Ok(content) = pdu.content_as::<InviteContent>() else {
            return invalid("`membership` is missing");
        };
        if content.membership != "invite" {
            return invalid("`membership` is another one");
        }
        Ok(Taken { invitee, is_direct: content.is_direct })
    }
}

impl RoomTx<'_, '_> {
    fn be_invited(
        &mut self,
        ask: &Ask,
        command: &BeInvited,
        signed: &Pdu,
    ) -> Result<(), BeInvitedError> {
        let user = &ask.user_id;
        if vestibule_accounts::facts::subject(&*self.tx, user)?.is_none() {
            return Err(BeInvitedError::UnknownUser);
        }
        if blocks_invites(&*self.tx, user)? {
            return Err(BeInvitedError::Blocked);
        }
        let resident = match self.view() {
            Ok(view) if view.is_resident()? => {
                if !view.acl_allows(&command.origin)? {
                    return Err(BeInvitedError::AclDenied);
                }
                true
            }
            _ => false,
        };
        let deed = Deed::BeInvited(self.room_id.clone());
        let permit = self.permit::<kind::BeInvited>(ask, &deed)?;
        self.spend_permit(ask, permit, &vestibule_policy::Object::room(&self.room_id))?;
        if resident {
            return Ok(());
        }
        if self.outside(user)?.is_none() {
            let others = OUTSIDE_BY_USER.scan(&*self.tx, (user,), OUTSIDE_ROOMS_MAX)?;
            if others.len() >= OUTSIDE_ROOMS_MAX {
                return Err(BeInvitedError::TooMany);
            }
        }
        self.keep_earlier(user, &command.origin)?;
        let outside = Outside {
            membership: StoredMembership::Invite,
            event: signed,
            stripped: &command.stripped,
            via: std::slice::from_ref(&command.origin),
        };
        Ok(self.put_outside(user, &outside)?)
    }
}
