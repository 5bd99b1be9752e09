//! A small server over a real socket, and a client that sends exactly the bytes it is told.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
};
use http::Method;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt, UserId,
    api::client::{
        alias::{create_alias, get_alias},
        membership::join_room_by_id,
        profile::get_profile,
        state::send_state_event,
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vestibule_http::{
    Authenticator, Bind, Caller, ClientAddress, Doorway, Entrance, Gate, Incoming, IncomingJson,
    Listener, ListenerOptions, Login, MatrixError, MaybeCaller, OutgoingJson, Presented,
    Recognised, Routes, Visit,
};
use vestibule_types::{Actor, BoxFuture, ClassName, Clock, Credential};

/// The classes of endpoint these tests know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Open,
    Members,
    Directory,
}

/// Counts how often a handler ran.
#[derive(Clone, Default)]
pub(crate) struct Counted(pub(crate) Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn ran(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Tokens;

impl Authenticator<Rule> for Tokens {
    fn authenticate<'a>(
        &'a self,
        presented: Presented<'a, Rule>,
    ) -> BoxFuture<'a, Result<Option<Recognised>, MatrixError>> {
        let actor = |user: &str, class| {
            let user = UserId::parse(user).unwrap();
            Recognised::from(Actor::new(user, None, class, Credential::StoredSession))
        };
        let found = match presented.token {
            "alice" => Ok(Some(actor("@alice:home.test", ClassName::member()))),
            "gast" => Ok(Some(actor("@guest-a:home.test", ClassName::guest()))),
            "expired" => Err(MatrixError::unknown_token(true)),
            _ => Ok(None),
        };
        Box::pin(async move { found })
    }
}

impl Gate<Rule> for Tokens {
    fn admit(&self, visit: &Visit<'_, Rule>) -> Result<(), MatrixError> {
        let guest = visit.caller.is_some_and(Actor::is_guest);
        match visit.rule {
            Rule::Members if guest => {
                Err(MatrixError::guest_forbidden("members only").with_reason("ceiling"))
            }
            Rule::Directory if guest => Err(MatrixError::guest_forbidden("not for guests")),
            _ => Ok(()),
        }
    }
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_wrapping(0))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

async fn put_alias(
    State(counted): State<Counted>,
    Caller(actor): Caller,
    Incoming(request): Incoming<create_alias::v3::Request>,
) -> OutgoingJson<Value> {
    counted.note();
    OutgoingJson(json!({ "by": actor.user_id(), "alias": request.room_alias }))
}

async fn look_up_alias(
    MaybeCaller(actor): MaybeCaller,
    Incoming(request): Incoming<get_alias::v3::Request>,
) -> OutgoingJson<Value> {
    OutgoingJson(json!({ "alias": request.room_alias, "anonymous": actor.is_none() }))
}

async fn join(
    State(counted): State<Counted>,
    Incoming(request): Incoming<join_room_by_id::v3::Request>,
) -> OutgoingJson<Value> {
    counted.note();
    OutgoingJson(json!({ "room_id": request.room_id, "reason": request.reason }))
}

async fn state(Incoming(request): Incoming<send_state_event::v3::Request>) -> OutgoingJson<Value> {
    OutgoingJson(json!({ "type": request.event_type.to_string(), "key": request.state_key }))
}

async fn profile(Incoming(request): Incoming<get_profile::v3::Request>) -> OutgoingJson<Value> {
    OutgoingJson(json!({ "user_id": request.user_id }))
}

async fn whence(ClientAddress(address): ClientAddress) -> OutgoingJson<Value> {
    OutgoingJson(json!({ "address": address }))
}

async fn panics() -> Response {
    panic!("on purpose, for the test")
}

async fn large() -> Response {
    OutgoingJson(json!({ "text": "tea ".repeat(10_000) })).into_response()
}

async fn slow(State(counted): State<Counted>) -> OutgoingJson<Value> {
    counted.note();
    tokio::time::sleep(Duration::from_millis(400)).await;
    OutgoingJson(json!({ "slow": true }))
}

async fn endless(State(counted): State<Counted>) -> OutgoingJson<Value> {
    counted.note();
    std::future::pending().await
}

async fn echo(IncomingJson(body): IncomingJson<Value>) -> OutgoingJson<Value> {
    OutgoingJson(body)
}

pub(crate) fn routes() -> Routes<Counted, Rule> {
    let tokens = Arc::new(Tokens);
    let open = (Rule::Open, Login::Ignored);
    Routes::new(Doorway { authenticator: tokens.clone(), gate: tokens })
        .mount::<create_alias::v3::Request, _>(Rule::Members, put_alias)
        .mount::<get_alias::v3::Request, _>(Rule::Directory, look_up_alias)
        .mount::<join_room_by_id::v3::Request, _>(Rule::Open, join)
        .mount::<send_state_event::v3::Request, _>(Rule::Members, state)
        .mount::<get_profile::v3::Request, _>(Rule::Open, profile)
        .mount_at(Method::GET, "/test/whence", open, whence)
        .mount_at(Method::GET, "/test/panics", open, panics)
        .mount_at(Method::GET, "/test/large", open, large)
        .mount_at(Method::GET, "/test/slow", open, slow)
        .mount_at(Method::GET, "/test/endless", open, endless)
        .mount_at(Method::POST, "/test/echo", open, echo)
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) counted: Counted,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(ListenerOptions::new("127.0.0.1:0".parse().unwrap())).await
    }

    pub(crate) async fn start_with(options: ListenerOptions) -> Self {
        let counted = Counted::default();
        let router: Router = routes().into_router(counted.clone());
        let entrance = Entrance::new(router, Arc::new(RealClock));
        let listener = Listener::bind(options).await.unwrap();
        let address = listener.local_addr();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let stopping = stop.clone();
        tasks.spawn(async move { listener.serve(entrance, stopping.cancelled()).await });
        Self { address, counted, stop, tasks }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits until so many handlers that count themselves have begun.
    pub(crate) async fn has_begun(&self, handlers: usize) {
        while self.counted.ran() < handlers {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.unwrap()).await.unwrap()
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        exchange(self.connect().await, method, target, headers, body).await
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn errcode(&self) -> String {
        self.json()["errcode"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) async fn exchange<I>(
    mut io: I,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> Answer
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    // The server may answer and close before it read everything.
    let _ = io.write_all(request.as_bytes()).await;
    answer(io).await
}

/// Reads until the server closes.
pub(crate) async fn answer(mut io: impl AsyncRead + Unpin) -> Answer {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), io.read_to_end(&mut bytes)).await;
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut body = bytes[at + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer { status, head, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(&String::from_utf8_lossy(&rest[..at]), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&rest[at + 2..at + 2 + length]);
        rest = &rest[at + 4 + length..];
    }
    whole
}

pub(crate) async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

pub(crate) fn unix(path: PathBuf) -> ListenerOptions {
    ListenerOptions::new(Bind::Unix(path))
}
