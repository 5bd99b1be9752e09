//! The service.

use std::{fmt, sync::Arc};

use ruma::{OwnedServerName, ServerName};
use vestibule_events::SigningKey;
use vestibule_storage::Store;
use vestibule_types::Environment;

use crate::Transport;

/// What the operator decided about reaching others.
#[derive(Clone, Debug, Default)]
pub struct RemoteConfig {
    /// Whether other servers are reached at all.
    pub enabled: bool,
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
    inner: Arc<RemoteParts>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// The service over a store and a transport.
    #[must_use]
    pub fn new(parts: RemoteParts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.server_name
    }
}
