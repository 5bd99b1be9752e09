//! The service and what it is made of.

use std::{fmt, sync::Arc};

use ruma::{OwnedServerName, ServerName, UserId};
use tokio::sync::{Notify, Semaphore};
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_storage::{StorageError, Store, Tx};
use vestibule_types::{Environment, limits::MEDIA_UPLOADS_AT_ONCE_MAX};

use crate::ObjectStore;

/// What [`Media`] is made of.
pub struct MediaParts {
    /// Where rows are kept.
    pub store: Store,
    /// Where files are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The rate buckets all services share.
    pub rates: Arc<RateBuckets>,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Our name.
    pub server_name: OwnedServerName,
    /// What the operator decided.
    pub config: MediaConfig,
}

/// What the operator decided about media.
#[derive(Clone, Copy, Debug)]
pub struct MediaConfig {
    /// The largest file, in bytes.
    pub upload_bytes_max: u64,
    /// How much one user may upload altogether, in bytes; `None`: without bound.
    pub user_bytes_max: Option<u64>,
    /// Whether media is given to those who do not log in.
    pub open_downloads: bool,
}

/// Files that users upload. Cloning is cheap.
#[derive(Clone)]
pub struct Media {
    pub(crate) inner: Arc<Inner>,
}

/// What every operation on media shares.
pub(crate) struct Inner {
    pub(crate) parts: MediaParts,
    pub(crate) uploads: Arc<Semaphore>,
    /// Rings when a file has come whose id was made before.
    pub(crate) arrival: Notify,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media").finish_non_exhaustive()
    }
}

impl Media {
    /// The service over a store.
    #[must_use]
    pub fn new(parts: MediaParts) -> Self {
        let uploads = Arc::new(Semaphore::new(MEDIA_UPLOADS_AT_ONCE_MAX));
        Self { inner: Arc::new(Inner { parts, uploads, arrival: Notify::new() }) }
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.parts.server_name
    }

    /// What the operator decided.
    #[must_use]
    pub fn config(&self) -> MediaConfig {
        self.inner.parts.config
    }

    /// Runs a write in the slot of the user.
    pub(crate) async fn write<T, E, F>(&self, user: &UserId, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let store = &self.inner.parts.store;
        Ok(store.write(store.slot_of_user(user), closure).await?.value)
    }
}
