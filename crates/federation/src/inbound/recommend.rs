//! Events of a room with a policy server: signed by it, or kept from the timeline.

use futures_util::{StreamExt, stream};
use ruma::{ServerName, api::federation::policy::sign_event};
use vestibule_events::{Verified, is_recommended};
use vestibule_remote::CallOptions;
use vestibule_rooms::PolicyServer;
use vestibule_types::limits::{POLICY_SERVER_AT_ONCE, POLICY_SERVER_TIME_MAX};

use crate::Federation;

/// The largest answer of a policy server: one signature.
const ANSWER_BYTES_MAX: usize = 16_384;

impl Federation {
    /// Sees to the signature of the room's policy server on each event, and says whether it is still
    /// doubted. The policy server is asked once for an event that lacks a valid signature of it.
    pub(super) async fn recommended(
        &self,
        policy_server: Option<&PolicyServer>,
        events: Vec<Verified>,
    ) -> Vec<(Verified, bool)> {
        let Some(server) = policy_server else {
            return events.into_iter().map(|event| (event, false)).collect();
        };
        let asked = events.into_iter().map(|event| self.recommend(server, event));
        stream::iter(asked).buffered(POLICY_SERVER_AT_ONCE).collect().await
    }

    async fn recommend(&self, server: &PolicyServer, event: Verified) -> (Verified, bool) {
        let holds = |event: &Verified| is_recommended(event.pdu(), &server.via, &server.ed25519);
        if holds(&event) {
            return (event, false);
        }
        match self.ask_policy_server(&server.via, &event).await.filter(holds) {
            Some(signed) => (signed, false),
            None => (event, true),
        }
    }

    async fn ask_policy_server(&self, via: &ServerName, event: &Verified) -> Option<Verified> {
        let request = sign_event::v1::Request::new(event.pdu().to_federation_json().ok()?);
        let options = CallOptions {
            answer_bytes_max: ANSWER_BYTES_MAX,
            time_max: POLICY_SERVER_TIME_MAX,
            ignore_back_off: false,
        };
        let answer = self.remote().call_with(via, request, options).await;
        match answer {
            Ok(answer) => event.with_policy_signature(via, answer.ed25519_signature(via)?).ok(),
            Err(error) => {
                tracing::debug!(%error, "the policy server did not sign an event");
                None
            }
        }
    }
}
