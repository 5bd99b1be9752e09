//! One request to something on the web that is no homeserver: an identity server, say.
//!
//! The address may be a stranger's choice. It is held to the same filter as servers are: nothing
//! behind this machine's own walls is reached unless the operator lists its network.

use http::uri::Scheme;

use crate::{Remote, Reply, TransportError, WebRequest};

impl Remote {
    /// Sends a request and reads the answer, whatever its status. A redirect is an answer: whoever
    /// wants to follow one asks again. Nothing is signed, and there is no back-off.
    ///
    /// Federation need not be on: what lies on the web is no homeserver.
    pub async fn fetch(&self, request: WebRequest) -> Result<Reply, TransportError> {
        let scheme = request.url.scheme();
        let on_the_web = scheme == Some(&Scheme::HTTPS) || scheme == Some(&Scheme::HTTP);
        if !on_the_web || request.url.authority().is_none() {
            return Err(TransportError::Unreachable("not an address on the web".to_owned()));
        }
        let parts = self.parts();
        let late = parts.environment.clock.sleep(request.time_max);
        let sent = async {
            let _turn = self.turn().await;
            parts.transport.fetch(request).await
        };
        let result = tokio::select! {
            biased;
            result = sent => result,
            () = late => Err(TransportError::Unreachable("no answer in time".to_owned())),
        };
        let outcome = if result.is_ok() { "answered" } else { "failed" };
        metrics::counter!("vestibule_remote_web_requests_total", "outcome" => outcome).increment(1);
        result
    }
}
