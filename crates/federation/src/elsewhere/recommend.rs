//! The signature of a room's policy server on an event of ours.

use vestibule_events::Pdu;
use vestibule_rooms::{ElsewhereError, PolicyServer};

use super::failure::{bad, failed};
use crate::Federation;

impl Federation {
    /// Returns the event with what the policy server signed. What it answers instead is its own.
    pub(super) async fn bring_to_policy_server(
        &self,
        server: &PolicyServer,
        pdu: &Pdu,
    ) -> Result<Pdu, ElsewhereError> {
        let signature = self.ask_policy_server(&server.via, pdu, true).await.map_err(failed)?;
        let signed = pdu.with_policy_signature(&server.via, &signature);
        signed.map_err(|error| bad(error.to_string()))
    }
}
