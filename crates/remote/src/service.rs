//! The service.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::RwLock;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::{Semaphore, SemaphorePermit, broadcast};
use vestibule_events::SigningKey;
use vestibule_storage::{StorageError, Store};
use vestibule_types::{
    Environment,
    limits::{REMOTE_CALL_MAX, REMOTE_CALLS_MAX},
};

use crate::{FailingServer, ServerLists, Transport, Web, WebPurpose, back_off::BackOffs};

/// What the operator decided about reaching others.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// Whether other servers are talked to at all.
    pub enabled: bool,
    /// Which of them.
    pub servers: ServerLists,
    /// How long a call may take that has no bound of its own.
    pub call_time_max: Duration,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self { enabled: true, servers: ServerLists::default(), call_time_max: REMOTE_CALL_MAX }
    }
}

/// What [`Remote`] is made of.
pub struct RemoteParts {
    /// Where back-off is kept.
    pub store: Store,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Our name.
    pub server_name: OwnedServerName,
    /// The key requests are signed with.
    pub signing_key: Arc<SigningKey>,
    /// What the operator decided.
    pub config: RemoteConfig,
    /// What carries requests.
    pub transport: Arc<dyn Transport>,
}

/// The way to other servers. Cloning is cheap.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    parts: RemoteParts,
    /// What the operator decided, as of now.
    config: RwLock<RemoteConfig>,
    back_offs: BackOffs,
    turns: Arc<Semaphore>,
    web: Web,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// The service over a store and a transport. It remembers who did not answer an earlier run.
    pub async fn open(parts: RemoteParts) -> Result<Self, StorageError> {
        let back_offs = BackOffs::new(parts.store.clone(), parts.environment.clone());
        back_offs.load().await?;
        let turns = Arc::new(Semaphore::new(REMOTE_CALLS_MAX));
        let config = RwLock::new(parts.config.clone());
        let (transport, environment) = (Arc::clone(&parts.transport), parts.environment.clone());
        let web = Web::over(transport, environment, WebPurpose::Servers, true);
        Ok(Self { inner: Arc::new(Inner { parts, config, back_offs, turns, web }) })
    }

    /// The way to what other servers have on the web. Nothing is signed there, and there is no back-off.
    /// Federation need not be on: what lies on the web is no homeserver.
    #[must_use]
    pub fn web(&self) -> &Web {
        &self.inner.web
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.parts.server_name
    }

    /// Whether other servers are talked to at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.parts.config.enabled
    }

    /// Takes over what the operator decided now. Whether other servers are talked to at all stays as
    /// it was: what is built on it was built at the start.
    pub fn reconfigure(&self, config: RemoteConfig) {
        let enabled = self.is_enabled();
        *self.inner.config.write() = RemoteConfig { enabled, ..config };
    }

    /// How long a call may take that has no bound of its own.
    pub(crate) fn call_time_max(&self) -> Duration {
        self.inner.config.read().call_time_max
    }

    /// Whether the operator lets this one talk to that server; in both directions.
    #[must_use]
    pub fn permits(&self, server: &ServerName) -> bool {
        let config = self.inner.config.read();
        config.enabled && config.servers.permit(server)
    }

    /// Whether this server failed lately and is left alone for now.
    #[must_use]
    pub fn is_backing_off(&self, server: &ServerName) -> bool {
        self.retry_after(server).is_some()
    }

    /// How long this server is still left alone because it failed lately.
    #[must_use]
    pub fn retry_after(&self, server: &ServerName) -> Option<Duration> {
        self.inner.back_offs.retry_after(server)
    }

    /// The servers that do not answer, the longest failing ones first.
    #[must_use]
    pub fn failing_servers(&self, limit: usize) -> Vec<FailingServer> {
        self.inner.back_offs.failing(limit)
    }

    /// What is known of a server that does not answer.
    #[must_use]
    pub fn failing_server(&self, server: &ServerName) -> Option<FailingServer> {
        self.inner.back_offs.failing_one(server)
    }

    /// A server made itself heard: it is asked again from now on.
    pub async fn heard_from(&self, server: &ServerName) {
        if let Err(error) = self.inner.back_offs.cleared(server).await {
            tracing::warn!(%server, %error, "cannot store that a server answers again");
        }
    }

    /// Forgets that a server failed, and where it was found, because an operator says so. False when
    /// it did not fail.
    pub async fn retry_now(&self, server: &ServerName) -> Result<bool, StorageError> {
        self.inner.parts.transport.forget(server);
        self.inner.back_offs.cleared(server).await
    }

    /// Hears of each server that failed and now answers again. A listener that falls behind misses
    /// some of them.
    #[must_use]
    pub fn recoveries(&self) -> broadcast::Receiver<OwnedServerName> {
        self.inner.back_offs.recovered()
    }

    pub(crate) async fn failed(&self, server: &ServerName, started: u64, reason: String) {
        tracing::debug!(%server, %reason, "a server does not answer");
        if let Err(error) = self.inner.back_offs.failed(server, started, reason).await {
            tracing::warn!(%server, %error, "cannot store that a server does not answer");
        }
    }

    pub(crate) fn parts(&self) -> &RemoteParts {
        &self.inner.parts
    }

    /// Waits for its turn among all requests. The semaphore is never closed.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.inner.turns.acquire().await.ok()
    }

    /// Turns, for who keeps one beyond a call.
    pub(crate) fn turns(&self) -> &Arc<Semaphore> {
        &self.inner.turns
    }
}
