//! The keys this server signs with and the keys of others: publishing, fetching, judging signatures.

mod checks;
mod kept;
mod known;
mod own;
mod request;

use std::{collections::BTreeMap, fmt, sync::Arc};

use ruma::{OwnedServerName, ServerName};
use vestibule_events::SigningKey;
use vestibule_storage::{StorageError, Store};
use vestibule_types::Environment;

use self::{checks::Checks, kept::Kept, known::ServerKeys};
pub use self::{
    checks::ChecksBusy,
    request::{RequestSignature, VerifyRequestError},
};

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
    kept: Kept,
    checks: Checks,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

impl KeyRing {
    pub(crate) fn new(
        store: Store,
        environment: Environment,
        server_name: OwnedServerName,
        signing_key: Arc<SigningKey>,
    ) -> Self {
        let kept = Kept::new(store.clone());
        let checks = Checks::new(Arc::clone(store.executor()));
        let inner = Inner { store, environment, server_name, signing_key, kept, checks };
        Self { inner: Arc::new(inner) }
    }

    /// What is known of the keys of these servers, our own among them if asked for.
    async fn known(
        &self,
        servers: impl IntoIterator<Item = &ServerName>,
    ) -> Result<BTreeMap<OwnedServerName, Arc<ServerKeys>>, StorageError> {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            servers.into_iter().partition(|server| *server == self.inner.server_name);
        let mut known = self.inner.kept.of(theirs).await?;
        if !ours.is_empty() {
            known.insert(self.inner.server_name.clone(), Arc::new(self.own_keys().await?));
        }
        Ok(known)
    }
}
