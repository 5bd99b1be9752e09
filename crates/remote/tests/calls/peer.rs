//! The other server, as the test wants it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use parking_lot::Mutex;
use ruma::{ServerName, server_name};
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_remote::{
    Exchange, OpenReply, Remote, RemoteConfig, RemoteParts, Reply, Transport, TransportError,
};
use vestibule_storage::Store;
use vestibule_testkit::{TestEnvironment, environment, memory_store};
use vestibule_types::BoxFuture;

/// What the other server does with the next request.
#[derive(Clone)]
pub(crate) enum Act {
    Answer(u16, Value),
    Page(u16, &'static str),
    /// Answers with a body that never ends, and of which this comes.
    Stalls(&'static str),
    Unreachable,
    TooLarge,
    Refused,
    Silence,
}

#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Mutex<(VecDeque<Act>, Vec<Exchange>)>>);

impl Peer {
    /// Does this next.
    pub(crate) fn then(&self, act: Act) -> &Self {
        self.0.lock().0.push_back(act);
        self
    }

    pub(crate) fn heard(&self) -> Vec<Exchange> {
        self.0.lock().1.clone()
    }
}

impl Transport for Peer {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let act = {
            let mut inside = self.0.lock();
            inside.1.push(exchange);
            inside.0.pop_front().unwrap_or(Act::Answer(200, json!({})))
        };
        let reply = |status, body: Vec<u8>| Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: Bytes::from(body),
        };
        Box::pin(async move {
            match act {
                Act::Answer(status, body) => Ok(reply(status, body.to_string().into_bytes())),
                Act::Page(status, text) => Ok(reply(status, text.into())),
                Act::Stalls(text) => Ok(reply(STALLS, text.into())),
                Act::Unreachable => Err(TransportError::Unreachable("nobody there".to_owned())),
                Act::TooLarge => Err(TransportError::BadAnswer("too large".to_owned())),
                Act::Refused => Err(TransportError::Refused),
                Act::Silence => std::future::pending().await,
            }
        })
    }

    fn open(&self, exchange: Exchange) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        Box::pin(async move {
            let mut reply = OpenReply::from(self.exchange(exchange).await?);
            if reply.status.as_u16() == STALLS {
                reply.body = Box::pin(reply.body.chain(stream::pending()));
            }
            Ok(reply)
        })
    }
}

/// Tells an answer that stalls from those that do not, on its way through the test.
const STALLS: u16 = 299;

/// Our server, and the other one.
pub(crate) struct Scene {
    pub(crate) remote: Remote,
    pub(crate) peer: Peer,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) test: TestEnvironment,
    pub(crate) store: Store,
}

pub(crate) fn them() -> &'static ServerName {
    server_name!("them.example")
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::over(memory_store(1), environment(7)).await
    }

    /// What a restart leaves: the store, and the time.
    pub(crate) async fn restarted(self) -> Self {
        Self::over(self.store, self.test).await
    }

    async fn over(store: Store, test: TestEnvironment) -> Self {
        Self::with(store, test, RemoteConfig::default()).await
    }

    /// With another mind of the operator.
    pub(crate) async fn with(store: Store, test: TestEnvironment, config: RemoteConfig) -> Self {
        let peer = Peer::default();
        let key = Arc::new(SigningKey::from_seed([3; 32], "a_1").unwrap());
        let remote = Remote::open(RemoteParts {
            store: store.clone(),
            environment: test.environment.clone(),
            server_name: server_name!("us.example").to_owned(),
            signing_key: key.clone(),
            config,
            transport: Arc::new(peer.clone()),
        });
        let remote = remote.await.unwrap();
        Self { remote, peer, key, test, store }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.test.clock.advance(Duration::from_secs(seconds));
    }
}
