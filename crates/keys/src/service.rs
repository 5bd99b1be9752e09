//! The service and what it is made of.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ruma::{OwnedServerName, ServerName, UserId};
use vestibule_accounts::Accounts;
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_rooms::Rooms;
use vestibule_storage::{StorageError, Store, Tx};
use vestibule_types::Environment;

use crate::{
    list::Fetches,
    remote::{Alone, RemoteKeys},
};

/// What [`Keys`] is made of.
pub struct KeysParts {
    /// Where keys are kept.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The rate buckets all services share.
    pub rates: Arc<RateBuckets>,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Our name.
    pub server_name: OwnedServerName,
    /// Accounts, who prove to be their owner's.
    pub accounts: Accounts,
    /// Rooms, which know who shares one with whom.
    pub rooms: Rooms,
}

/// End-to-end key exchange. Cloning is cheap.
#[derive(Clone)]
pub struct Keys {
    pub(crate) inner: Arc<Inner>,
}

/// What every operation on keys shares.
pub(crate) struct Inner {
    pub(crate) parts: KeysParts,
    pub(crate) fetches: Fetches,
    remote: OnceLock<Arc<dyn RemoteKeys>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The service over a store.
    #[must_use]
    pub fn new(parts: KeysParts) -> Self {
        Self {
            inner: Arc::new(Inner { parts, fetches: Fetches::default(), remote: OnceLock::new() }),
        }
    }

    /// Plugs in the other servers. Only the first call counts.
    pub fn set_remote(&self, remote: Arc<dyn RemoteKeys>) {
        // A second call is a mistake in the wiring that changes nothing.
        let _already_set = self.inner.remote.set(remote);
    }

    /// The other servers.
    pub(crate) fn remote(&self) -> &dyn RemoteKeys {
        self.inner.remote.get().map_or(&Alone, |it| &**it)
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.parts.server_name
    }

    pub(crate) fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.server_name()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// Runs a write in the slot of the user.
    pub(crate) async fn write<T, E, F>(&self, user: &UserId, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let slot = self.store().slot_of_user(user);
        Ok(self.store().write(slot, closure).await?.value)
    }
}
