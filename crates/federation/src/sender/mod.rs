//! Telling other servers what happens here (server-server API, "Transactions").
//!
//! Nothing is copied per receiver. One task follows the published log and knows for each event which
//! servers were in its room; a server with something coming gets a task, which sends one transaction
//! after the other and ends. A server without an entry has everything up to the tail of the log.
//!
//! *What survives.* Before a transaction leaves, a row of the server says what is in it: after a crash
//! it is sent again as it was, under the same id, before anything else. That a transaction was taken
//! is noted later, with the next one or with the next flush. A flush writes the tail, after every
//! server that lacks something before it has a row.
//!
//! *Who is out of reach* has a row that says from where on it knows nothing, and no queue: nothing is
//! done for it per event. When its back-off ends or it makes itself heard, what it missed is looked
//! for in the rooms it is in ([`catch_up`]); from there on it follows live again.

mod catch_up;
mod cursor;
mod dispatch;
mod follow;
mod hub;
mod presence;
mod servers;
mod transaction;
mod typing;
mod work;

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use ruma::{OwnedServerName, ServerName};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use vestibule_remote::Remote;
use vestibule_rooms::Rooms;
use vestibule_storage::Store;
use vestibule_types::{Environment, limits::SENDERS_MAX};

use self::{hub::Hub, servers::RoomServers};

/// What the sender is made of.
pub(crate) struct SenderParts {
    pub(crate) store: Store,
    pub(crate) environment: Environment,
    pub(crate) server_name: OwnedServerName,
    pub(crate) remote: Remote,
    pub(crate) rooms: Rooms,
}

/// Tells other servers what happens here. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Inner>);

struct Inner {
    parts: SenderParts,
    hub: Hub,
    servers: RoomServers,
    /// Transactions under way at once.
    turns: Semaphore,
    /// Commits looked through since the tail was written.
    unwritten: Mutex<u64>,
    /// Rung when a task ended: the follower may have to wake its server later, or forget it.
    bell: tokio::sync::Notify,
}

impl Sender {
    /// The sender; nothing happens before [`Sender::start`].
    pub(crate) fn new(parts: SenderParts) -> Self {
        let servers = RoomServers::new(parts.server_name.clone());
        Self(Arc::new(Inner {
            parts,
            hub: Hub::default(),
            servers,
            turns: Semaphore::new(SENDERS_MAX),
            unwritten: Mutex::default(),
            bell: tokio::sync::Notify::new(),
        }))
    }

    /// Begins to follow the log.
    pub(crate) fn start(&self) {
        let spawner = &self.0.parts.environment.spawner;
        spawner.spawn("federation.sender", Box::pin(self.clone().follow()));
    }

    fn parts(&self) -> &SenderParts {
        &self.0.parts
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn servers(&self) -> &RoomServers {
        &self.0.servers
    }

    fn unwritten(&self) -> MutexGuard<'_, u64> {
        self.0.unwritten.lock()
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.turns.acquire().await
    }

    fn left_alone(&self, server: &ServerName, until: Duration) {
        self.hub().failed(server, until);
        self.ring();
    }

    fn ring(&self) {
        self.0.bell.notify_one();
    }

    async fn rung(&self) {
        self.0.bell.notified().await;
    }
}
