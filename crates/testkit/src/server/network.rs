//! A network in memory: requests from server to server are calls, and a test sees every one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::{Router, body::Body};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tower::ServiceExt;
use vestibule_remote::{Exchange, Reply, Transport, TransportError};
use vestibule_types::BoxFuture;

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
}

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
        self.0.lock().routers.insert(name.to_owned(), router);
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

    /// Every request so far, those that reached nobody too.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().sent.clone()
    }
}

impl Transport for Network {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let router = {
            let mut inside = self.0.lock();
            let line = format!("{} {}", exchange.method, exchange.path);
            inside.sent.push(Sent { to: exchange.server.clone(), line });
            let cut = inside.unreachable.contains(&exchange.server);
            inside.routers.get(&exchange.server).filter(|_| !cut).cloned()
        };
        Box::pin(async move {
            let Some(router) = router else {
                return Err(TransportError::Unreachable("no such server".to_owned()));
            };
            let mut request = http::Request::builder()
                .method(exchange.method)
                .uri(exchange.path)
                .body(Body::from(exchange.body))
                .map_err(|error| TransportError::Unreachable(error.to_string()))?;
            *request.headers_mut() = exchange.headers;
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, exchange.answer_bytes_max).collect().await;
            let body = body.map_err(|error| TransportError::BadAnswer(error.to_string()))?;
            Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        })
    }
}
