//! Membership events that other servers hand in: read, verified, and given to the room.

mod invite;
mod withdraw;

use std::sync::Arc;

use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_rooms::{HandedIn, HandshakeError, Incoming};

pub use self::invite::{BringInviteError, BroughtInvite, OldInvite};
use crate::{Federation, VerifyEventError};

/// Why a membership event was not let in.
#[derive(Debug, thiserror::Error)]
pub enum HandInError {
    /// The room or its rules refuse it.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// It is no event of the room's version.
    #[error("{0}")]
    Malformed(String),
    /// Its signatures do not hold.
    #[error("{0}")]
    Forged(String),
    /// The keys to check it with cannot be had now.
    #[error("{0}")]
    Unverified(String),
}

impl From<VerifyEventError> for HandInError {
    fn from(error: VerifyEventError) -> Self {
        let message = error.to_string();
        match error {
            VerifyEventError::Invalid(_) | VerifyEventError::NoKeys(_) => Self::Forged(message),
            VerifyEventError::Unavailable(_) => Self::Unverified(message),
        }
    }
}

impl Federation {
    /// Lets a membership event of another server's user into a room. Handing it in again changes
    /// nothing and is answered alike.
    pub async fn take_membership(
        &self,
        handed_in: &HandedIn,
        json: &RawValue,
    ) -> Result<Arc<Pdu>, HandInError> {
        let rooms = &self.inner.parts.rooms;
        let version = rooms.version_for(handed_in).await?;
        let pdu = Pdu::parse_untrusted(json.get().as_bytes(), version)
            .map_err(|error| HandInError::Malformed(error.to_string()))?;
        let pdu = rooms.countersign(handed_in, pdu).await?;
        let verified = self.key_ring().verify_events(vec![pdu]).await.pop();
        let busy = || HandInError::Unverified("the signature was not checked".to_owned());
        let verified = verified.ok_or_else(busy)??;
        let storage = |cause| HandInError::Handshake(HandshakeError::from(cause));
        let room = rooms.inbound_room(&handed_in.room_id, &handed_in.origin).await;
        let policy_server = room.map_err(storage)?.and_then(|room| room.policy_server);
        let (event, doubted) = self.recommended_now(policy_server.as_ref(), verified).await;
        Ok(rooms.accept_membership(handed_in, Incoming { doubted, ..event.into() }).await?)
    }
}
