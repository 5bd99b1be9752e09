//! The service and what it is made of.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use ruma::{OwnedServerName, OwnedUserId, ServerName, UserId};
use tokio::sync::{Notify, Semaphore};
use vestibule_accounts::Ledger;
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_storage::{Executor, StorageError, Store, Tx};
use vestibule_types::{
    Environment,
    limits::{
        MEDIA_FETCHES_AT_ONCE_MAX, MEDIA_FETCHES_PER_SERVER_MAX, MEDIA_FETCHES_WAITING_MAX,
        MEDIA_FETCHES_WAITING_PER_SERVER_MAX, MEDIA_UPLOADS_AT_ONCE_MAX,
        MEDIA_UPLOADS_PER_USER_MAX, THUMBNAILS_AT_ONCE_MAX, THUMBNAILS_WAITING_MAX,
    },
};

use crate::{
    FileDigest, ObjectStore, Previews, RemoteMedia,
    copies::Copies,
    places::Places,
    remote::{Alone, Fetches},
};

/// What [`Media`] is made of.
pub struct MediaParts {
    /// Where rows are kept.
    pub store: Store,
    /// Where files are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// Who makes thumbnails.
    pub executor: Arc<dyn Executor>,
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
    /// How much copies of files of other servers may take altogether, in bytes; `None`: without bound.
    pub remote_bytes_max: Option<u64>,
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
    pub(crate) ledger: Ledger,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) uploads_of: Places<OwnedUserId>,
    /// Rings when a file has come whose id was made before.
    pub(crate) arrival: Notify,
    pub(crate) thumbnails: Semaphore,
    pub(crate) thumbnails_waiting: Semaphore,
    pub(crate) fetching: Semaphore,
    pub(crate) fetches_waiting: Semaphore,
    pub(crate) fetching_from: Places<OwnedServerName>,
    pub(crate) waiting_for: Places<OwnedServerName>,
    pub(crate) fetches: Fetches,
    pub(crate) copies: Copies,
    /// Behind which file the next purge goes on to look for those that no row leads to.
    pub(crate) swept: Mutex<Option<FileDigest>>,
    remote: OnceLock<Arc<dyn RemoteMedia>>,
    previews: OnceLock<Previews>,
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
        let ledger = Ledger::new(
            parts.store.clone(),
            parts.policy.clone(),
            parts.rates.clone(),
            parts.environment.clone(),
        );
        let inner = Inner {
            parts,
            ledger,
            uploads,
            uploads_of: Places::new(MEDIA_UPLOADS_PER_USER_MAX),
            arrival: Notify::new(),
            thumbnails: Semaphore::new(THUMBNAILS_AT_ONCE_MAX),
            thumbnails_waiting: Semaphore::new(THUMBNAILS_WAITING_MAX),
            fetching: Semaphore::new(MEDIA_FETCHES_AT_ONCE_MAX),
            fetches_waiting: Semaphore::new(MEDIA_FETCHES_WAITING_MAX),
            fetching_from: Places::new(MEDIA_FETCHES_PER_SERVER_MAX),
            waiting_for: Places::new(MEDIA_FETCHES_WAITING_PER_SERVER_MAX),
            fetches: Fetches::default(),
            copies: Copies::default(),
            swept: Mutex::default(),
            remote: OnceLock::new(),
            previews: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Plugs in the other servers. Only the first call counts.
    pub fn set_remote(&self, remote: Arc<dyn RemoteMedia>) {
        // A second call is a mistake in the wiring that changes nothing.
        let _already_set = self.inner.remote.set(remote);
    }

    /// Turns previews of web pages on. Only the first call counts.
    pub fn set_previews(&self, previews: Previews) {
        // A second call is a mistake in the wiring that changes nothing.
        let _already_set = self.inner.previews.set(previews);
    }

    /// What previews are made with, if they are.
    pub(crate) fn previews(&self) -> Option<&Previews> {
        self.inner.previews.get()
    }

    /// The other servers.
    pub(crate) fn remote(&self) -> &dyn RemoteMedia {
        self.inner.remote.get().map_or(&Alone, |it| &**it)
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
