//! A stand-in server that remembers nothing, to prove the bench itself.
//!
//! It answers the calls the rows make, wakes long-polls, and stops on SIGTERM. Its figures show what
//! the generator can drive at most; they say nothing about Vestibule.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::matrix::decoded;

/// What the stand-in knows: how many things it has named, and the newest message.
struct Memory {
    named: AtomicU64,
    news: watch::Sender<News>,
}

/// The newest message: its number and room.
#[derive(Debug, Clone, Default)]
struct News {
    number: u64,
    room: String,
}

/// Serves on the address in the configuration until SIGTERM.
pub fn serve(config: &Path) -> Result<()> {
    let text = fs::read_to_string(config)?;
    let address = text
        .lines()
        .find_map(|line| line.strip_prefix("bind = "))
        .and_then(|bind| bind.trim_matches('"').parse().ok())
        .context("the configuration names no address")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(address))
}

async fn accept(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut stop = signal(SignalKind::terminate())?;
    let memory = Arc::new(Memory { named: AtomicU64::new(0), news: watch::Sender::default() });
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = stop.recv() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let memory = Arc::clone(&memory);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let memory = Arc::clone(&memory);
                async move { Ok::<_, Infallible>(memory.answer(request).await) }
            });
            // A connection that breaks is the generator's to notice.
            let _ended =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Memory {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = decoded(request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let _read = request.into_body().collect().await;
        let parts: Vec<_> = path.split('/').skip(4).collect();
        let body = match parts.as_slice() {
            [] => json!({ "versions": ["v1.1"] }),
            ["register"] => {
                let number = self.named.fetch_add(1, Ordering::Relaxed);
                let (id, token) = (format!("@u{number}:x"), format!("t{number}"));
                json!({ "user_id": id, "access_token": token, "device_id": "d" })
            }
            ["createRoom"] => {
                let number = self.named.fetch_add(1, Ordering::Relaxed);
                json!({ "room_id": format!("!r{number}:x") })
            }
            ["rooms", room, "join"] => json!({ "room_id": room }),
            ["rooms", room, "send" | "receipt", ..] => {
                self.news.send_modify(|news| {
                    news.number = news.number.saturating_add(1);
                    (*room).clone_into(&mut news.room);
                });
                json!({ "event_id": "$e" })
            }
            // It keeps nothing, so a crash test against it must find everything lost.
            ["joined_rooms"] => json!({ "joined_rooms": [] }),
            ["sync"] => self.sync(&query).await,
            _ => return plain(StatusCode::NOT_FOUND, &json!({ "errcode": "M_UNRECOGNIZED" })),
        };
        plain(StatusCode::OK, &body)
    }

    async fn sync(&self, query: &str) -> Value {
        let number = |key: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let mut news = self.news.subscribe();
        if let Some(since) = number("since=") {
            let wait = Duration::from_millis(number("timeout=").unwrap_or_default());
            let newer = news.wait_for(|news| news.number > since);
            // Without news the answer is empty, as a real one is.
            let _news = tokio::time::timeout(wait, newer).await;
        }
        let news = news.borrow().clone();
        json!({ "next_batch": news.number.to_string(), "rooms": { "join": { news.room: {} } } })
    }
}

fn plain(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}
