//! One request to one server and its answer, as bytes. The network is one implementation; tests and
//! the simulator bring another.

use bytes::Bytes;
use http::{HeaderMap, Method};
use ruma::{OwnedServerName, ServerName};
use vestibule_types::BoxFuture;

use crate::{Finding, OpenReply, RemoteError, Reply, WebPurpose, WebRequest};

/// A signed request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Whom it is for.
    pub server: OwnedServerName,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers; authorization among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// How long everything together may take.
    pub time_max: std::time::Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The address is one that must not be reached.
    #[error("its address may not be reached")]
    Refused,
    /// No address, no connection, no answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The answer was larger than allowed, or cut off.
    #[error("{0}")]
    BadAnswer(String),
}

impl TransportError {
    /// The same, as a failed call to a server.
    pub(crate) fn of(self, server: &ServerName) -> RemoteError {
        let server = server.to_owned();
        match self {
            Self::Refused => RemoteError::Refused(server),
            Self::Unreachable(reason) => RemoteError::Unreachable { server, reason },
            Self::BadAnswer(reason) => RemoteError::BadAnswer { server, reason },
        }
    }
}

/// Carries requests. There is one of these for everything that leaves the process.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request to a server and reads the answer.
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>>;

    /// Sends a request to a server; the body of the answer is still to be read, by whoever bounds it.
    fn open(&self, exchange: Exchange) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        Box::pin(async move { Ok(self.exchange(exchange).await?.into()) })
    }

    /// Sends a request to something on the web; the body of the answer is still to be read. A redirect
    /// is an answer.
    fn fetch(
        &self,
        _request: WebRequest,
        _purpose: WebPurpose,
    ) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        Box::pin(async { Err(TransportError::Refused) })
    }

    /// Tells how the server is found, step by step, up to an open connection.
    fn examine(&self, _server: OwnedServerName) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }

    /// Forgets what it remembers of where a server is.
    fn forget(&self, _server: &ServerName) {}
}

/// Reaches nobody.
#[derive(Clone, Copy, Debug)]
pub struct NoTransport;

impl Transport for NoTransport {
    fn exchange(&self, _: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        Box::pin(async { Err(TransportError::Refused) })
    }
}
