//! The service.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{Notify, Semaphore};
use vestibule_remote::Web;
use vestibule_rooms::Rooms;
use vestibule_storage::Store;
use vestibule_types::{Environment, limits::PUSHES_AT_ONCE_MAX};

use crate::{Unread, follow::Hub};

/// What the operator decided.
#[derive(Clone, Copy, Debug)]
pub struct PushConfig {
    /// How long a push gateway may take to answer.
    pub call_time_max: Duration,
}

/// What [`Push`] is made of.
#[derive(Debug)]
pub struct PushParts {
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// The rooms, and the store under them.
    pub rooms: Rooms,
    /// The way to push gateways.
    pub web: Web,
    /// What the operator decided.
    pub config: PushConfig,
}

/// Tells devices of news. Cloning is cheap.
#[derive(Clone)]
pub struct Push(Arc<Inner>);

struct Inner {
    parts: PushParts,
    unread: Unread,
    hub: Hub,
    /// Requests under way at once.
    turns: Semaphore,
    /// Rung when a task ended: its pusher may have to be woken later.
    bell: Notify,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").finish_non_exhaustive()
    }
}

impl Push {
    /// The service over the rooms. Nothing is sent before [`Push::start`].
    #[must_use]
    pub fn new(parts: PushParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            unread: Unread::default(),
            hub: Hub::default(),
            turns: Semaphore::new(PUSHES_AT_ONCE_MAX),
            bell: Notify::new(),
        }))
    }

    /// Begins to follow the log. Without it no device is ever told anything.
    pub fn start(&self) {
        let spawner = &self.environment().spawner;
        spawner.spawn("push.follow", Box::pin(self.clone().follow()));
    }

    /// What users have not read.
    #[must_use]
    pub fn unread(&self) -> &Unread {
        &self.0.unread
    }

    pub(crate) fn store(&self) -> &Store {
        self.rooms().store()
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.0.parts.rooms
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.0.parts.environment
    }

    pub(crate) fn web(&self) -> &Web {
        &self.0.parts.web
    }

    pub(crate) fn config(&self) -> PushConfig {
        self.0.parts.config
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn turns(&self) -> &Semaphore {
        &self.0.turns
    }

    pub(crate) fn bell(&self) -> &Notify {
        &self.0.bell
    }
}
