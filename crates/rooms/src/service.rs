//! The service and what it is made of.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, RoomId, ServerName};
use tokio::sync::{Notify, Semaphore};
use vestibule_accounts::Ledger;
use vestibule_events::{RoomVersion, SigningKey};
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_storage::{Snapshot, StorageError, Store};
use vestibule_types::{Environment, limits::STATE_READS_AT_ONCE_MAX};

use crate::{
    Elsewhere, EventIndex, IdentityServers, NoticesConfig, OpenRoom, Presence, PresenceConfig,
    RoomView, Typing,
    elsewhere::Alone,
    for_servers::AclAnswers,
    log::EventCache,
    membership::{NoIdentityServers, Refusals, Turns},
    points::PointCache,
    queue::Queues,
    read::SpacesElsewhere,
};

/// What the operator decided about rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The version of new rooms whose creator names none.
    pub default_version: RoomVersion,
    /// What others are told of who is there.
    pub presence: PresenceConfig,
    /// As whom the server speaks to its users.
    pub notices: NoticesConfig,
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self {
            default_version: RoomVersion::DEFAULT,
            presence: PresenceConfig::default(),
            notices: NoticesConfig::default(),
        }
    }
}

/// What [`Rooms`] is made of.
pub struct RoomsParts {
    /// Where rooms are kept.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The rate buckets all services share.
    pub rates: Arc<RateBuckets>,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Our name.
    pub server_name: OwnedServerName,
    /// The key our events are signed with.
    pub signing_key: Arc<SigningKey>,
    /// What the operator decided.
    pub config: RoomsConfig,
    /// Rung when a durable job was enqueued that is due now.
    pub job_bell: Arc<Notify>,
}

/// The rooms of this server. Cloning is cheap.
#[derive(Clone)]
pub struct Rooms {
    pub(crate) inner: Arc<Inner>,
}

/// What every operation on rooms shares.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) rates: Arc<RateBuckets>,
    pub(crate) ledger: Ledger,
    pub(crate) env: Environment,
    pub(crate) server_name: OwnedServerName,
    pub(crate) signing_key: Arc<SigningKey>,
    pub(crate) config: RoomsConfig,
    pub(crate) job_bell: Arc<Notify>,
    pub(crate) events: EventCache,
    pub(crate) points: PointCache,
    pub(crate) acl_answers: AclAnswers,
    pub(crate) spaces_elsewhere: SpacesElsewhere,
    /// Turns for reading whole states for other servers.
    pub(crate) state_reads: Semaphore,
    pub(crate) queues: Queues,
    pub(crate) refusals: Refusals,
    pub(crate) typing: Typing,
    pub(crate) presence: Presence,
    pub(crate) turns: Turns,
    /// Held while a user's room of notices is looked for or made, so that there is one.
    pub(crate) notice_rooms: tokio::sync::Mutex<()>,
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    identity_servers: OnceLock<Arc<dyn IdentityServers>>,
    event_index: OnceLock<Arc<dyn EventIndex>>,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
}

impl Rooms {
    /// The service over a store.
    #[must_use]
    pub fn new(parts: RoomsParts) -> Self {
        // Later than the numbers of every process before: they do not count up that fast.
        let serial = parts.environment.now_ms() << 16;
        let typing = Typing::new(serial);
        let began = Duration::from_millis(parts.environment.now_ms())
            .saturating_sub(parts.environment.clock.monotonic());
        let presence = Presence::new(serial, began, parts.config.presence);
        let ledger = Ledger::new(
            parts.store.clone(),
            parts.policy.clone(),
            parts.rates.clone(),
            parts.environment.clone(),
        );
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                policy: parts.policy,
                rates: parts.rates,
                ledger,
                env: parts.environment,
                server_name: parts.server_name,
                signing_key: parts.signing_key,
                config: parts.config,
                job_bell: parts.job_bell,
                events: EventCache::new(),
                points: PointCache::new(),
                acl_answers: AclAnswers::new(),
                spaces_elsewhere: SpacesElsewhere::new(),
                state_reads: Semaphore::new(STATE_READS_AT_ONCE_MAX),
                queues: Queues::default(),
                refusals: Refusals::new(),
                typing,
                presence,
                turns: Turns::default(),
                notice_rooms: tokio::sync::Mutex::new(()),
                elsewhere: OnceLock::new(),
                identity_servers: OnceLock::new(),
                event_index: OnceLock::new(),
            }),
        }
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.server_name
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> MilliSecondsSinceUnixEpoch {
        self.inner.env.now()
    }

    /// The monotonic clock.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.inner.env.clock.monotonic()
    }

    /// Where decisions about requests go.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Plugs in the other servers. Only the first call counts.
    pub fn set_elsewhere(&self, elsewhere: Arc<dyn Elsewhere>) {
        drop(self.inner.elsewhere.set(elsewhere));
    }

    /// The other servers.
    pub(crate) fn elsewhere(&self) -> &dyn Elsewhere {
        self.inner.elsewhere.get().map_or(&Alone, |it| &**it)
    }

    /// Plugs in the index of words. Only the first call counts.
    pub fn set_event_index(&self, index: Arc<dyn EventIndex>) {
        drop(self.inner.event_index.set(index));
    }

    /// The index of words, where there is one.
    pub(crate) fn event_index(&self) -> Option<&Arc<dyn EventIndex>> {
        self.inner.event_index.get()
    }

    /// Plugs in the identity servers. Only the first call counts.
    pub fn set_identity_servers(&self, servers: Arc<dyn IdentityServers>) {
        drop(self.inner.identity_servers.set(servers));
    }

    /// The identity servers.
    pub(crate) fn identity_servers(&self) -> &dyn IdentityServers {
        self.inner.identity_servers.get().map_or(&NoIdentityServers, |it| &**it)
    }

    /// Where rooms are kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Reads a room at one moment. `None` for a room this server does not have.
    pub async fn with_view<T, E, F>(&self, room_id: &RoomId, look: F) -> Result<Option<T>, E>
    where
        F: FnOnce(RoomView<'_, &Snapshot<'_>>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (rooms, room_id) = (self.clone(), room_id.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let Some(room) = OpenRoom::load(snapshot, &room_id)? else { return Ok(None) };
                look(RoomView::new(&rooms, snapshot, &room)).map(Some)
            })
            .await
    }
}
