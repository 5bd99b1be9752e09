//! Events of a room with a policy server: signed by it, or kept from the timeline.

use futures_util::{StreamExt, stream};
use ruma::{ServerName, api::federation::policy::sign_event};
use vestibule_events::{Pdu, Verified, is_recommended};
use vestibule_remote::{CallOptions, RemoteError};
use vestibule_rooms::PolicyServer;
use vestibule_types::limits::{POLICY_SERVER_AT_ONCE, POLICY_SERVER_TIME_MAX};

use crate::Federation;

/// The largest answer of a policy server: one signature.
const ANSWER_BYTES_MAX: usize = 16_384;

impl Federation {
    /// Sees to the signature of the room's policy server on each event, and says whether it is still
    /// doubted. The policy server is asked once for an event that lacks a valid signature of it.
    pub(crate) async fn recommended(
        &self,
        policy_server: Option<&PolicyServer>,
        events: Vec<Verified>,
    ) -> Vec<(Verified, bool)> {
        let Some(server) = policy_server else {
            return events.into_iter().map(|event| (event, false)).collect();
        };
        let asked = events.into_iter().map(|event| self.recommend(server, event, false));
        stream::iter(asked).buffered(POLICY_SERVER_AT_ONCE).collect().await
    }

    /// The same for one event, which somebody waits to see in the room.
    pub(crate) async fn recommended_now(
        &self,
        policy_server: Option<&PolicyServer>,
        event: Verified,
    ) -> (Verified, bool) {
        match policy_server {
            Some(server) => self.recommend(server, event, true).await,
            None => (event, false),
        }
    }

    async fn recommend(
        &self,
        server: &PolicyServer,
        event: Verified,
        somebody_waits: bool,
    ) -> (Verified, bool) {
        let holds = |event: &Verified| is_recommended(event.pdu(), &server.via, &server.ed25519);
        if holds(&event) {
            return (event, false);
        }
        let signed = match self.ask_policy_server(&server.via, event.pdu(), somebody_waits).await {
            Ok(signature) => event.with_policy_signature(&server.via, &signature).ok(),
            Err(error) => {
                tracing::debug!(%error, "the policy server did not sign an event");
                None
            }
        };
        match signed.filter(holds) {
            Some(signed) => (signed, false),
            None => (event, true),
        }
    }

    /// Asks a policy server for its signature on an event. While somebody waits for it to send
    /// something it is asked even if it failed lately: it need not take what we send it otherwise, and
    /// may have failed in nothing else.
    pub(crate) async fn ask_policy_server(
        &self,
        via: &ServerName,
        pdu: &Pdu,
        somebody_waits: bool,
    ) -> Result<String, RemoteError> {
        let json = pdu.to_federation_json();
        let json = json.map_err(|error| RemoteError::Request(error.to_string()))?;
        let request = sign_event::v1::Request::new(json);
        let options = CallOptions {
            answer_bytes_max: ANSWER_BYTES_MAX,
            time_max: POLICY_SERVER_TIME_MAX,
            ignore_back_off: somebody_waits,
        };
        let answer = self.remote().call_with(via, request, options).await?;
        let signature = answer.ed25519_signature(via).map(ToOwned::to_owned);
        signature.ok_or_else(|| {
            let reason = "it did not sign the event".to_owned();
            RemoteError::BadAnswer { server: via.to_owned(), reason }
        })
    }
}
