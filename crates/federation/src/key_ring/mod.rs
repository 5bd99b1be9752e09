//! The keys this server signs with and the keys of others: publishing, fetching, judging signatures.

mod answer;
mod checks;
mod events;
mod fetch;
mod kept;
mod known;
mod need;
mod notaries;
mod object;
mod own;
mod query;
mod request;
mod rotate;
mod turns;

use std::{fmt, sync::Arc};

use parking_lot::RwLock;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::Semaphore;
use vestibule_events::SigningKey;
use vestibule_remote::Remote;
use vestibule_storage::{StorageError, Store};
use vestibule_types::{Environment, limits::NOTARY_FETCHES_AT_ONCE};

use self::{
    checks::Checks,
    fetch::Known,
    kept::Kept,
    turns::{Attempts, Strangers, Turns},
};
pub use self::{
    checks::ChecksBusy,
    events::VerifyEventError,
    object::VerifyObjectError,
    own::PublishKeysError,
    query::QueryKeysError,
    request::{RequestKeys, RequestSignature, VerifyRequestError},
    rotate::{OwnKey, RotateKeyError},
};
use crate::FederationParts;

/// Our own keys and what is known of those of others. Cloning is cheap.
#[derive(Clone)]
pub struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    environment: Environment,
    server_name: OwnedServerName,
    signing_key: Arc<SigningKey>,
    remote: Remote,
    /// Whom to ask about servers that do not answer, in this order.
    notaries: RwLock<Vec<OwnedServerName>>,
    kept: Kept,
    checks: Checks,
    turns: Turns,
    attempts: Attempts,
    notary_attempts: Attempts,
    strangers: Strangers,
    /// Whoever asks us about others may keep us busy only so far.
    notary_turns: Semaphore,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

impl KeyRing {
    pub(crate) fn new(parts: &FederationParts) -> Self {
        let store = parts.store.clone();
        let inner = Inner {
            kept: Kept::new(store.clone()),
            checks: Checks::new(Arc::clone(store.executor())),
            store,
            environment: parts.environment.clone(),
            server_name: parts.server_name.clone(),
            signing_key: Arc::clone(&parts.signing_key),
            remote: parts.remote.clone(),
            notaries: RwLock::new(parts.notaries.clone()),
            turns: Turns::default(),
            attempts: Attempts::new(),
            notary_attempts: Attempts::new(),
            strangers: Strangers::new(),
            notary_turns: Semaphore::new(NOTARY_FETCHES_AT_ONCE),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is known of the keys of these servers, our own among them if asked for.
    async fn known(
        &self,
        servers: impl IntoIterator<Item = &ServerName>,
    ) -> Result<Known, StorageError> {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            servers.into_iter().partition(|server| *server == self.inner.server_name);
        let mut known = self.inner.kept.of(theirs).await?;
        if !ours.is_empty() {
            known.insert(self.inner.server_name.clone(), Arc::new(self.own_keys().await?));
        }
        Ok(known)
    }
}
