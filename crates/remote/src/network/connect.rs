//! Connections: to the first address that answers, over TLS.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;
use vestibule_types::{
    BoxFuture,
    limits::{REMOTE_CONNECT_HEAD_START, REMOTE_CONNECT_MAX, REMOTE_HANDSHAKE_MAX},
};

use super::{
    authority::Authority,
    route::{Purpose, Router},
    tls::certificate_name,
    trace::Trace,
};
use crate::TransportError;

/// The port of `http`.
const PLAIN_PORT: u16 = 80;

/// Makes connections for the HTTP client, which keeps one pool per authority: whatever is told
/// apart by `Host` header or certificate is told apart there.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) router: Arc<Router>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) purpose: Purpose,
}

impl Connector {
    /// A connection to what stands for an authority.
    pub(crate) async fn connect(
        &self,
        authority: &Authority,
        trace: &Trace,
    ) -> Result<TlsStream<TcpStream>, TransportError> {
        let name = certificate_name(&authority.host)?;
        let (tcp, socket) = self.reach(authority, trace).await?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp);
        let late = self.router.environment.clock.sleep(REMOTE_HANDSHAKE_MAX);
        let done = tokio::select! {
            biased;
            done = handshake => done.map_err(|error| error.to_string()),
            () = late => Err("no answer in time".to_owned()),
        };
        let stream = done.map_err(|reason| {
            let reason = format!("TLS with {authority} at {socket}: {reason}");
            trace.failed("tls", reason.clone());
            TransportError::Unreachable(reason)
        })?;
        trace.fine("tls", secured(authority, &stream));
        Ok(stream)
    }

    /// A connection to the socket of an authority, before anything is said on it.
    async fn reach(
        &self,
        authority: &Authority,
        trace: &Trace,
    ) -> Result<(TcpStream, SocketAddr), TransportError> {
        let sockets = self.router.sockets(authority, self.purpose, trace).await?;
        let (tcp, socket) = self.dial(sockets).await.inspect_err(|error| {
            trace.failed("connect", error.to_string());
        })?;
        trace.fine("connect", format!("connected to {socket}"));
        Ok((tcp, socket))
    }

    /// A connection without TLS, for addresses on the web that ask for none.
    async fn connect_plainly(&self, authority: Authority) -> Result<TcpStream, TransportError> {
        let port = authority.port.or(Some(PLAIN_PORT));
        let (tcp, _) = self.reach(&Authority { port, ..authority }, &Trace::none()).await?;
        Ok(tcp)
    }

    /// Tries the addresses in order, each with a head start, and takes the first that answers.
    async fn dial(
        &self,
        sockets: Vec<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), TransportError> {
        let clock = &self.router.environment.clock;
        let mut waiting: VecDeque<SocketAddr> = sockets.into();
        let mut trying = FuturesUnordered::new();
        let mut reasons = Vec::new();
        loop {
            if let Some(socket) = waiting.pop_front() {
                let late = clock.sleep(REMOTE_CONNECT_MAX);
                trying.push(async move {
                    tokio::select! {
                        biased;
                        tcp = TcpStream::connect(socket) => (tcp, socket),
                        () = late => (Err(io::ErrorKind::TimedOut.into()), socket),
                    }
                });
            }
            tokio::select! {
                biased;
                tried = trying.next() => match tried {
                    Some((Ok(tcp), socket)) => {
                        // Only latency suffers if it cannot be set.
                        let _: io::Result<()> = tcp.set_nodelay(true);
                        return Ok((tcp, socket));
                    }
                    Some((Err(error), socket)) => reasons.push(format!("{socket}: {error}")),
                    None => return Err(TransportError::Unreachable(reasons.join("; "))),
                },
                () = clock.sleep(REMOTE_CONNECT_HEAD_START), if !waiting.is_empty() => {}
            }
        }
    }
}

fn secured(authority: &Authority, stream: &TlsStream<TcpStream>) -> String {
    let (_, session) = stream.get_ref();
    let version =
        session.protocol_version().map_or("TLS", |version| version.as_str().unwrap_or("TLS"));
    let http = if speaks_http2(stream) { "HTTP/2" } else { "HTTP/1.1" };
    format!("certificate is good for {}; {version}, {http}", authority.host)
}

fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Stream, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let authority = uri
                .authority()
                .and_then(Authority::of_uri)
                .ok_or_else(|| TransportError::Unreachable("the address has no host".to_owned()))?;
            if uri.scheme() == Some(&Scheme::HTTP) && connector.purpose == Purpose::Web {
                let stream = connector.connect_plainly(authority).await?;
                return Ok(Stream::Plain(TokioIo::new(stream)));
            }
            let stream = connector.connect(&authority, &Trace::none()).await?;
            Ok(Stream::Secured(Box::new(TokioIo::new(stream))))
        })
    }
}

/// An open connection.
pub(crate) enum Stream {
    /// With TLS.
    Secured(Box<TokioIo<TlsStream<TcpStream>>>),
    /// Without.
    Plain(TokioIo<TcpStream>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        match self {
            Self::Secured(stream) if speaks_http2(stream.inner()) => connected.negotiated_h2(),
            Self::Secured(_) | Self::Plain(_) => connected,
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Secured(stream) => Pin::new(stream).poll_flush(context),
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
