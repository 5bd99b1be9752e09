//! A network in memory: requests from server to server are calls, and a test sees every one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use axum::{Router, body::Body};
use futures_util::TryStreamExt;
use http::{StatusCode, header};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::watch;
use tower::ServiceExt;
use vestibule_remote::{
    Exchange, OpenReply, Reply, Transport, TransportError, WebPurpose, WebRequest,
};
use vestibule_types::BoxFuture;

use crate::spec::{self, Answer};

/// A request that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whom it was for.
    pub to: OwnedServerName,
    /// Method and path, with the query.
    pub line: String,
}

#[derive(Default)]
struct Inside {
    routers: BTreeMap<OwnedServerName, Router>,
    unreachable: Vec<OwnedServerName>,
    sent: Vec<Sent>,
    /// The servers whose answers are compared with the specification.
    real: BTreeSet<OwnedServerName>,
    /// How answers of real servers differed from the specification.
    violations: Vec<String>,
    /// Whose answers to which requests are lost, or kept back until the channel is closed.
    bent: Vec<(OwnedServerName, String, Option<watch::Receiver<()>>)>,
}

/// Answers that are kept back until this is dropped.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "its end is what counts")] watch::Sender<()>);

/// Servers that reach each other without sockets. Cloning shares it.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Inside>>);

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// A network without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts what answers for a name on the network, in place of what did before.
    pub fn attach(&self, name: &ServerName, router: Router) {
        let mut inside = self.0.lock();
        inside.real.remove(name);
        inside.routers.insert(name.to_owned(), router);
    }

    /// The same with a server of ours, whose answers are compared with the specification.
    pub(super) fn attach_real(&self, name: &ServerName, router: Router) {
        self.attach(name, router);
        self.0.lock().real.insert(name.to_owned());
    }

    /// Fails the test when a server of ours answered what the specification forbids.
    #[track_caller]
    pub(super) fn check(&self) {
        let inside = self.0.lock();
        assert!(inside.violations.is_empty(), "{}", inside.violations.join("\n"));
    }

    /// Takes a server off the network; it may be dropped then.
    pub fn detach(&self, name: &ServerName) {
        self.0.lock().routers.remove(name);
    }

    /// Makes a server unreachable for everybody.
    pub fn cut(&self, name: &str) {
        self.0.lock().unreachable.push(name.try_into().expect("a server name"));
    }

    /// Makes it reachable again.
    pub fn mend(&self, name: &str) {
        self.0.lock().unreachable.retain(|it| it != name);
    }

    /// From now on a server's answers to requests with this in their line are lost: it does what it is
    /// asked, and nobody hears of it.
    pub fn lose_answers(&self, name: &str, part: &str) {
        self.bend(name, part, None);
    }

    /// The same, but the answers arrive once what is returned is dropped.
    #[must_use]
    pub fn hold_answers(&self, name: &str, part: &str) -> Held {
        let (held, until) = watch::channel(());
        self.bend(name, part, Some(until));
        Held(held)
    }

    /// Lets the answers of a server arrive again.
    pub fn straighten(&self, name: &str) {
        self.0.lock().bent.retain(|(of, ..)| of != name);
    }

    fn bend(&self, name: &str, part: &str, until: Option<watch::Receiver<()>>) {
        let name: OwnedServerName = name.try_into().expect("a server name");
        self.0.lock().bent.push((name, part.to_owned(), until));
    }

    /// Waits while an answer is kept back. Fails where it is lost.
    async fn bring(&self, name: &ServerName, line: &str) -> Result<(), TransportError> {
        let bent = self.0.lock().bent.clone();
        let bent =
            bent.into_iter().find(|(of, part, _)| of == name && line.contains(part.as_str()));
        match bent {
            None => Ok(()),
            Some((.., None)) => Err(TransportError::BadAnswer("cut off".to_owned())),
            Some((.., Some(mut until))) => {
                while until.changed().await.is_ok() {}
                Ok(())
            }
        }
    }

    /// Every request so far, those that reached nobody too.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().sent.clone()
    }
}

impl Network {
    /// Compares the answer of a server of ours with the specification.
    fn compare(&self, server: &ServerName, (method, path): (&str, &str), reply: &Reply) {
        if !self.0.lock().real.contains(server) {
            return;
        }
        let content = reply.headers.get(header::CONTENT_TYPE);
        let compared = spec::compare(Answer {
            method,
            path,
            status: reply.status.as_u16(),
            is_json: content.is_some_and(|it| it.as_bytes().starts_with(b"application/json")),
            body: &reply.body,
        });
        self.0.lock().violations.extend(compared.err());
    }

    /// Notes a request and finds who answers it.
    fn answerer(&self, name: &str, line: String) -> Option<Router> {
        let name: &ServerName = name.try_into().ok()?;
        let mut inside = self.0.lock();
        inside.sent.push(Sent { to: name.to_owned(), line });
        let cut = inside.unreachable.iter().any(|it| it == name);
        inside.routers.get(name).filter(|_| !cut).cloned()
    }
}

/// Has a router answer.
async fn answered(
    router: Option<Router>,
    request: http::Request<Body>,
) -> Result<OpenReply, TransportError> {
    let Some(router) = router else {
        return Err(TransportError::Unreachable("no such server".to_owned()));
    };
    let Ok(response) = router.oneshot(request).await;
    let (parts, body) = response.into_parts();
    let cut_off = |error: axum::Error| TransportError::BadAnswer(error.to_string());
    let body = Box::pin(body.into_data_stream().map_err(cut_off));
    Ok(OpenReply { status: parts.status, headers: parts.headers, body })
}

impl Network {
    /// Has the server of this name answer.
    fn carry(
        &self,
        exchange: Exchange,
    ) -> impl Future<Output = Result<OpenReply, TransportError>> + Send + use<> {
        let line = format!("{} {}", exchange.method, exchange.path);
        let router = self.answerer(exchange.server.as_str(), line);
        let mut request = http::Request::new(Body::from(exchange.body));
        *request.method_mut() = exchange.method;
        *request.uri_mut() = exchange.path.parse().expect("a path");
        *request.headers_mut() = exchange.headers;
        answered(router, request)
    }
}

impl Transport for Network {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let (server, method, path) =
            (exchange.server.clone(), exchange.method.to_string(), exchange.path.clone());
        let bytes_max = exchange.answer_bytes_max;
        let answered = self.carry(exchange);
        Box::pin(async move {
            let reply = answered.await?.whole(bytes_max).await?;
            self.bring(&server, &format!("{method} {path}")).await?;
            self.compare(&server, (&method, &path), &reply);
            Ok(reply)
        })
    }

    fn open(&self, exchange: Exchange) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        let (server, method, path) =
            (exchange.server.clone(), exchange.method.to_string(), exchange.path.clone());
        let bytes_max = exchange.answer_bytes_max;
        let answered = self.carry(exchange);
        Box::pin(async move {
            let reply = answered.await?;
            if reply.status == StatusCode::OK {
                // What is read piece by piece is no JSON.
                return Ok(reply);
            }
            let reply = reply.whole(bytes_max).await?;
            self.compare(&server, (&method, &path), &reply);
            Ok(reply.into())
        })
    }

    fn fetch(
        &self,
        request: WebRequest,
        _: WebPurpose,
    ) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        let path = request.url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let authority = request.url.authority().map_or("", |authority| authority.as_str());
        let router = self.answerer(authority, format!("{} {path}", request.method));
        let mut sent = http::Request::new(Body::from(request.body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = path.parse().expect("a path");
        *sent.headers_mut() = request.headers;
        Box::pin(answered(router, sent))
    }
}
