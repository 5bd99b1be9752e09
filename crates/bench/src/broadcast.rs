//! The least a server can do that wakes many: bare hyper, one body for everybody, no rooms.
//!
//! Every GET waits for the next POST. It is a process of its own, as the server is.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Serves until SIGTERM; each waiting request is answered with a sync of `bytes` bytes.
pub fn serve(address: SocketAddr, bytes: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept(address, Arc::new(Broadcast::of(bytes))))
}

struct Broadcast {
    rounds: watch::Sender<u64>,
    body: Bytes,
}

async fn accept(address: SocketAddr, broadcast: Arc<Broadcast>) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut stop = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = stop.recv() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let broadcast = Arc::clone(&broadcast);
        spawn(async move {
            let service = service_fn(move |request| {
                let broadcast = Arc::clone(&broadcast);
                async move { Ok::<_, Infallible>(broadcast.answer(&request).await) }
            });
            // A connection that breaks is the generator's to notice.
            let _ended =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a probe is no part of the server")]
fn spawn(connection: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(connection);
}

impl Broadcast {
    fn of(bytes: usize) -> Self {
        let (start, end) = (r#"{"next_batch":"n","padding":""#, r#""}"#);
        let padding = " ".repeat(bytes.saturating_sub(start.len() + end.len()));
        let body = Bytes::from([start, &padding, end].concat());
        Self { rounds: watch::Sender::new(0), body }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() == Method::GET {
            if request.uri().path().ends_with("/sync") {
                // The sender lives as long as the process.
                let _changed = self.rounds.subscribe().changed().await;
            }
            return Response::new(Full::new(self.body.clone()));
        }
        self.rounds.send_modify(|round| *round = round.wrapping_add(1));
        Response::new(Full::new(Bytes::from_static(b"{}")))
    }
}
