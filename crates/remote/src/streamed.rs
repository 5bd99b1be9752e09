//! A request to a server whose answer is read piece by piece.

use std::sync::Arc;

use ruma::ServerName;
use vestibule_types::limits::REMOTE_ANSWER_BYTES_MAX;

use crate::{
    CallOptions, Exchange, OpenReply, Remote, RemoteError, RemoteRequest, TransportError,
    call::{failed, standing},
    reply::Deadline,
};

impl Remote {
    /// As [`Remote::call_with`], with the body of a success still to be read. It fails beyond
    /// `answer_bytes_max`, and when `time_max` is over.
    pub async fn open_with<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
        options: CallOptions,
    ) -> Result<OpenReply, RemoteError> {
        let result = match self.admit(server, options) {
            Ok(()) => self.opened(server, request, options).await,
            Err(refused) => Err(refused),
        };
        Self::count(result.as_ref().err());
        result
    }

    async fn opened<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
        options: CallOptions,
    ) -> Result<OpenReply, RemoteError> {
        let exchange = self.exchange_of(server, request, options)?;
        let started = self.parts().environment.now_ms();
        let opened = match self.open_exchange(exchange).await {
            Ok(reply) if reply.status.is_success() => {
                self.heard_from(server).await;
                return Ok(reply);
            }
            Ok(reply) => reply.whole(REMOTE_ANSWER_BYTES_MAX.min(options.answer_bytes_max)).await,
            Err(error) => Err(error),
        };
        self.stands(server, started, standing(&opened)).await;
        Err(failed(server, &opened.map_err(|error| error.of(server))?))
    }

    /// Sends it when it is its turn, which lasts until the body was read.
    async fn open_exchange(&self, exchange: Exchange) -> Result<OpenReply, TransportError> {
        let parts = self.parts();
        let clock = &parts.environment.clock;
        let (bytes_max, ends) =
            (exchange.answer_bytes_max, clock.monotonic().saturating_add(exchange.time_max));
        let late = clock.sleep(exchange.time_max);
        let sent = async {
            let turn = Arc::clone(self.turns()).acquire_owned().await.ok();
            Ok((parts.transport.open(exchange).await?, turn))
        };
        let (reply, turn) = tokio::select! {
            biased;
            result = sent => result,
            () = late => Err(TransportError::Unreachable("no answer in time".to_owned())),
        }?;
        Ok(reply.bounded(bytes_max, Deadline::new(parts.environment.clone(), ends, turn)))
    }
}
