//! Accepting connections: plain TCP, TLS, or a Unix socket.
//!
//! Every phase of a connection has a time limit, and the number of connections has a bound, so
//! clients that send one byte a minute hold little and for a short time. HTTP/2 is spoken where
//! TLS negotiated it; plain listeners speak HTTP/1.1, as reverse proxies do.

use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};
use vestibule_types::limits::{
    CONNECTIONS_MAX, DRAIN_SECONDS_MAX, HANDSHAKE_SECONDS_MAX, HEAD_BYTES_MAX,
    HEAD_READ_SECONDS_MAX, STREAMS_PER_CONNECTION_MAX,
};

use crate::{
    Certificates, Entrance, Peer, TrustedProxies,
    socket::{Bind, Socket, Stream},
};

/// How long the listener pauses when the machine has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener is made of.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Where it listens.
    pub bind: Bind,
    /// The certificates, for a listener that speaks TLS.
    pub tls: Option<Arc<Certificates>>,
    /// The proxies it trusts; without a word from the operator, loopback if bound to loopback.
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Connections held at once.
    pub connections_max: usize,
    /// How long requests under way may go on once the server was asked to stop.
    pub drain: Duration,
    /// How long a client may take for the head of a request, idle time before it included.
    pub head_patience: Duration,
}

impl ListenerOptions {
    /// A plain listener with the default bounds.
    #[must_use]
    pub fn new(bind: Bind) -> Self {
        Self {
            bind,
            tls: None,
            trusted_proxies: None,
            connections_max: CONNECTIONS_MAX,
            drain: Duration::from_secs(DRAIN_SECONDS_MAX),
            head_patience: Duration::from_secs(HEAD_READ_SECONDS_MAX),
        }
    }
}

/// A bound socket, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    tls: Option<Arc<Certificates>>,
    trusted: TrustedProxies,
    connections_max: usize,
    drain: Duration,
    head_patience: Duration,
}

impl Listener {
    /// Binds the socket. Clients that connect now wait until [`Listener::serve`].
    pub async fn bind(options: ListenerOptions) -> io::Result<Self> {
        let socket = Socket::bind(&options.bind).await?;
        let trusted = match (options.trusted_proxies, socket.address()) {
            (Some(networks), _) => TrustedProxies::new(networks),
            (None, Some(bound)) => TrustedProxies::default_for(bound),
            (None, None) => TrustedProxies::default(),
        };
        let connections_max = options.connections_max.max(1);
        Ok(Self {
            socket,
            tls: options.tls,
            trusted,
            connections_max,
            drain: options.drain,
            head_patience: options.head_patience,
        })
    }

    /// The address it was bound to, with the port the machine chose; none for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.socket.address()
    }

    /// Serves until `stopping` completes, then lets the requests under way finish, for a bounded
    /// time.
    pub async fn serve(self, entrance: Entrance, stopping: impl Future<Output = ()> + Send) {
        let connections = TaskTracker::new();
        let (closing, abandoned) = (CancellationToken::new(), CancellationToken::new());
        let phases = Phases { closing: closing.clone(), abandoned: abandoned.clone() };
        info!(listening = %self.socket, tls = self.tls.is_some(), "accepting connections");
        tokio::select! {
            () = self.accept(&connections, &entrance, &phases) => {}
            () = stopping => {}
        }
        let patience = self.drain;
        drop(self);
        closing.cancel();
        connections.close();
        if timeout(patience, connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "closing connections with requests under way");
            abandoned.cancel();
            connections.wait().await;
        }
    }

    /// Never returns by itself.
    async fn accept(&self, connections: &TaskTracker, entrance: &Entrance, phases: &Phases) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, address) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let peer = Peer { address, trusted: self.trusted.clone() };
            let visit = Conversation {
                entrance: entrance.clone(),
                peer,
                phases: phases.clone(),
                head_patience: self.head_patience,
            };
            let tls = self.tls.as_ref().map(|certificates| certificates.acceptor());
            let gauge = metrics::gauge!("vestibule_http_connections");
            gauge.increment(1.0);
            connections.spawn(async move {
                visit.open(stream, tls).await;
                gauge.decrement(1.0);
                drop(place);
            });
        }
    }
}

/// The two steps of stopping.
#[derive(Clone)]
struct Phases {
    /// Finish what is under way, begin nothing new.
    closing: CancellationToken,
    /// Drop everything.
    abandoned: CancellationToken,
}

impl Phases {
    /// Goes through a connection to its end, or as far as the phases let it.
    async fn see_off(self, connection: impl GracefulConnection<Error = hyper::Error>) {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.abandoned.cancelled() => return,
                }
            }
        };
        // Clients hang up in every way there is; none of them is our error.
        if let Err(error) = ended {
            debug!(%error, "a connection ended early");
        }
    }
}

/// One accepted connection.
struct Conversation {
    entrance: Entrance,
    peer: Peer,
    phases: Phases,
    head_patience: Duration,
}

impl Conversation {
    /// A task is as large as the largest thing it may become, and thousands of long polls wait
    /// behind plain TCP: everything else gets a box of its own.
    async fn open(self, stream: Stream, tls: Option<TlsAcceptor>) {
        let Some(acceptor) = tls else {
            match stream {
                Stream::Tcp(stream) => self.http1(stream).await,
                Stream::Unix(stream) => Box::pin(self.http1(stream)).await,
            }
            return;
        };
        match stream {
            Stream::Tcp(stream) => Box::pin(self.shake_hands(stream, acceptor)).await,
            Stream::Unix(stream) => Box::pin(self.shake_hands(stream, acceptor)).await,
        }
    }

    async fn shake_hands<I>(self, stream: I, acceptor: TlsAcceptor)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
        let stream = tokio::select! {
            shaken = timeout(patience, acceptor.accept(stream)) => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(%error, "the TLS handshake failed"),
                Err(_) => return debug!("the TLS handshake took too long"),
            },
            () = self.phases.closing.cancelled() => return,
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream).await;
        } else {
            self.http1(stream).await;
        }
    }

    async fn http1<I>(self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { entrance, peer, phases, head_patience } = self;
        let service = service_fn(move |request| answer(&entrance, &peer, request));
        let connection = conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_patience)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        phases.see_off(connection).await;
    }

    async fn http2<I>(self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { entrance, peer, phases, head_patience } = self;
        let service = service_fn(move |request| answer(&entrance, &peer, request));
        let connection = conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .keep_alive_interval(head_patience)
            .keep_alive_timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX))
            .serve_connection(TokioIo::new(stream), service);
        phases.see_off(connection).await;
    }
}

/// Not an `async fn`: what is done before the first wait takes no room while waiting.
fn answer(
    entrance: &Entrance,
    peer: &Peer,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    let answered = entrance.answer(request);
    async move { Ok(answered.await) }
}
