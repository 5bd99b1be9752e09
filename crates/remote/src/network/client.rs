//! The HTTP client: one request and its answer, within bounds.

use std::{error::Error, io};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{self, Client},
    rt::TokioTimer,
};
use vestibule_types::{
    BoxFuture, Environment,
    limits::{REMOTE_IDLE_CONNECTIONS_MAX, REMOTE_IDLE_MAX, REMOTE_PING_EVERY},
};

use super::connect::Connector;
use crate::{Reply, TransportError};

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
        read(self.ask(request).await?, answer_bytes_max).await
    }

    /// As [`HttpClient::send`], but of a larger answer the beginning is read. Says whether there was
    /// more.
    pub(crate) async fn send_for_beginning(
        &self,
        request: Request<Full<Bytes>>,
        answer_bytes_max: usize,
    ) -> Result<(Reply, bool), TransportError> {
        let (parts, mut body) = self.ask(request).await?.into_parts();
        let (mut read, mut cut) = (BytesMut::new(), false);
        while let Some(frame) = body.frame().await.filter(|_| !cut) {
            let cut_off =
                |error| TransportError::BadAnswer(format!("cut off: {}", last_cause(&error)));
            let Ok(piece) = frame.map_err(cut_off)?.into_data() else { continue };
            let room = answer_bytes_max.saturating_sub(read.len()).min(piece.len());
            cut = piece.len() > room;
            read.extend_from_slice(piece.get(..room).unwrap_or_default());
        }
        let body = read.freeze();
        Ok((Reply { status: parts.status, headers: parts.headers, body }, cut))
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

async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<Reply, TransportError> {
    let too_large = || TransportError::BadAnswer(format!("more than {bytes_max} bytes"));
    let (parts, body) = response.into_parts();
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large()
        } else {
            TransportError::BadAnswer(format!("cut off: {}", last_cause(&*error)))
        }
    })?;
    Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
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
