//! A user of ours brings what an identity server signed for them, to join by it.

use http::StatusCode;
use ruma::{RoomId, UserId, serde::Raw};
use serde_json::value::to_raw_value;
use tracing::instrument;
use vestibule_rooms::{
    AddressProof, ElsewhereError, ExchangeInvite, ExchangeInviteError, MembershipError,
};

use super::{BoundInvite, ExchangeError, bound::exchange_request};
use crate::{Federation, elsewhere::failed};

impl Federation {
    /// Has the inviter's server check a proof and invite the user; that is this server where the
    /// inviter is ours.
    #[instrument(name = "federation.third_party.redeem", skip_all)]
    pub(crate) async fn redeem(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        proof: &AddressProof,
    ) -> Result<(), MembershipError> {
        let (room_id, sender) = (room_id.to_owned(), proof.sender.clone());
        let server = sender.server_name().to_owned();
        if server == self.server_name() {
            let (origin, invitee) = (server, user_id.to_owned());
            let signed = proof.signed.clone();
            let command = ExchangeInvite { origin, room_id, sender, invitee, signed };
            return self.exchange_invite(command).await.map_err(refused);
        }
        let unreadable = |error: serde_json::Error| ElsewhereError::BadAnswer(error.to_string());
        let signed = Raw::from_json(to_raw_value(&proof.signed).map_err(unreadable)?);
        let invite = BoundInvite { room_id, sender, signed };
        let request = exchange_request(user_id, invite).map_err(unreadable)?;
        Ok(self.ask_for_exchange(&server, request).await.map_err(failed)?)
    }
}

fn refused(error: ExchangeError) -> MembershipError {
    let message = error.to_string();
    match error {
        ExchangeError::Unchecked => ElsewhereError::BadAnswer(message).into(),
        ExchangeError::Refused(ExchangeInviteError::Refused(error)) => error,
        ExchangeError::Refused(ExchangeInviteError::Storage(error)) => error.into(),
        ExchangeError::Revoked
        | ExchangeError::Refused(
            ExchangeInviteError::Handshake(_)
            | ExchangeInviteError::Invalid(_)
            | ExchangeInviteError::NoInvite
            | ExchangeInviteError::Forged,
        ) => {
            let status = StatusCode::FORBIDDEN.as_u16();
            ElsewhereError::Refused { status, errcode: "M_FORBIDDEN".to_owned(), message }.into()
        }
    }
}
