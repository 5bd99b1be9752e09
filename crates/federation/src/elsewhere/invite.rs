//! Bringing an invitation to the invitee's server, which has to sign it.

use ruma::UserId;
use ruma::api::federation::membership::{RawStrippedState, create_invite};
use vestibule_events::Pdu;
use vestibule_remote::RemoteError;
use vestibule_rooms::{ElsewhereError, InviteAbroad};

use super::failure::{bad, failed};
use crate::Federation;

impl Federation {
    /// Returns the invitation with the signature of the invitee's server.
    pub(super) async fn bring_invite(&self, invite: InviteAbroad) -> Result<Pdu, ElsewhereError> {
        let pdu = &invite.pdu;
        let invitee = pdu.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        let invitee = invitee.ok_or_else(|| bad("nobody is invited"))?;
        let server = invitee.server_name();
        let written = |pdu: &Pdu| pdu.to_federation_json().map_err(|error| bad(error.to_string()));
        let mut shown = Vec::with_capacity(invite.stripped.len());
        for event in &invite.stripped {
            shown.push(RawStrippedState::Pdu(written(event)?));
        }
        let request = create_invite::v2::Request::new(
            pdu.room_id().to_owned(),
            pdu.event_id().clone(),
            pdu.version().id(),
            written(pdu)?,
            shown,
        );
        let answer = self.remote().call(server, request).await.map_err(not_taken)?;
        let signed = self.one(&answer.event, pdu.version()).await?.into_pdu();
        if signed.event_id() != pdu.event_id() {
            return Err(bad("another event than the invitation came back"));
        }
        Ok(signed)
    }
}

/// Why an invitation was not taken. The room is of a version that we know.
fn not_taken(error: RemoteError) -> ElsewhereError {
    match failed(error) {
        ElsewhereError::UnknownVersion(version) => ElsewhereError::UnknownVersionThere(version),
        other => other,
    }
}
