//! The HTTP client: one request and its answer, within bounds.

use std::{error::Error, io};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client},
    rt::TokioTimer,
};
use vestibule_types::{
    BoxFuture, Environment,
    limits::{REMOTE_IDLE_CONNECTIONS_MAX, REMOTE_IDLE_MAX, REMOTE_PING_EVERY},
};

use super::connect::Connector;
use crate::{OpenReply, Reply, TransportError};

/// What we call ourselves.
const USER_AGENT: &str = concat!("Vestibule/", env!("CARGO_PKG_VERSION"));

/// Sends requests over connections that it keeps.
#[derive(Clone)]
pub(crate) struct HttpClient(Client<Connector, Full<Bytes>>);

/// Runs what keeps connections going, until the server stops.
#[derive(Clone)]
struct Connections(Environment);

impl hyper::rt::Executor<BoxFuture<'static, ()>> for Connections {
    fn execute(&self, connection: BoxFuture<'static, ()>) {
        let stopping = self.0.spawner.stopping();
        let until_stopped = async move {
            tokio::select! {
                biased;
                () = connection => {}
                () = stopping => {}
            }
        };
        self.0.spawner.spawn("connection to another server", Box::pin(until_stopped));
    }
}

impl HttpClient {
    pub(crate) fn new(connector: Connector, environment: Environment) -> Self {
        let client = Client::builder(Connections(environment))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(REMOTE_IDLE_MAX)
            .pool_max_idle_per_host(REMOTE_IDLE_CONNECTIONS_MAX)
            .http2_keep_alive_interval(REMOTE_PING_EVERY)
            .build(connector);
        Self(client)
    }

    /// Sends a request and reads the answer, up to so many bytes. Redirects are answers.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        answer_bytes_max: usize,
    ) -> Result<Reply, TransportError> {
        self.open(request).await?.whole(answer_bytes_max).await
    }

    /// As [`HttpClient::send`], with the body still to be read.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<OpenReply, TransportError> {
        let (parts, body) = self.ask(request).await?.into_parts();
        let cut_off = |error| TransportError::BadAnswer(format!("cut off: {}", last_cause(&error)));
        let pieces = body.into_data_stream().map_err(cut_off);
        Ok(OpenReply { status: parts.status, headers: parts.headers, body: Box::pin(pieces) })
    }

    async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TransportError> {
        let agent = http::HeaderValue::from_static(USER_AGENT);
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        if let Some(host) = explicit_host(&request) {
            request.headers_mut().insert(header::HOST, host);
        }
        let response = match self.0.request(request.clone()).await {
            Err(error) if may_repeat(request.method(), &error) => self.0.request(request).await,
            other => other,
        };
        response.map_err(|error| failure(&error))
    }
}

/// The client leaves the port of `https` out of the `Host` header. Where the server name has it, the
/// header must have it too.
fn explicit_host(request: &Request<Full<Bytes>>) -> Option<http::HeaderValue> {
    let authority = request.uri().authority()?;
    (authority.port_u16() == Some(443)).then(|| authority.as_str().parse().ok()).flatten()
}

/// Whether the request met a connection that the other side was just closing. What has the same
/// effect twice as once is sent again then.
fn may_repeat(method: &Method, error: &legacy::Error) -> bool {
    let closed = |kind| {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(kind, ConnectionReset | BrokenPipe | UnexpectedEof)
    };
    method.is_idempotent()
        && !error.is_connect()
        && causes(error).any(|cause| {
            cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
                || cause.downcast_ref::<io::Error>().is_some_and(|it| closed(it.kind()))
        })
}

fn failure(error: &legacy::Error) -> TransportError {
    let connecting = causes(error).find_map(|cause| cause.downcast_ref::<TransportError>());
    let other = || TransportError::Unreachable(last_cause(error));
    connecting.cloned().unwrap_or_else(other)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The innermost cause says what happened; the outer ones only where it was noticed.
fn last_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}
