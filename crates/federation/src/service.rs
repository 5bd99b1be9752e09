//! The service and what it is made of.

use std::{fmt, sync::Arc};

use ruma::{OwnedServerName, ServerName};
use vestibule_accounts::Accounts;
use vestibule_events::SigningKey;
use vestibule_keys::Keys;
use vestibule_media::Media;
use vestibule_policy::PolicyHandle;
use vestibule_remote::Remote;
use vestibule_rooms::Rooms;
use vestibule_storage::Store;
use vestibule_types::Environment;

use crate::{
    KeyRing,
    elsewhere::{Abroad, HistoryTurns, Profiles},
    inbound::Inbound,
    keys::KeysElsewhere,
    media::MediaElsewhere,
    sender::{Sender, SenderParts},
    third_party::TrustedIdentityServers,
};

/// What [`Federation`] is made of.
pub struct FederationParts {
    /// Where everything is kept.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Our name.
    pub server_name: OwnedServerName,
    /// The key we sign with.
    pub signing_key: Arc<SigningKey>,
    /// The way to other servers.
    pub remote: Remote,
    /// Servers trusted to tell the keys of those that do not answer, in the order they are asked.
    pub notaries: Vec<OwnedServerName>,
    /// Accounts.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// End-to-end keys.
    pub keys: Keys,
    /// Files.
    pub media: Media,
}

/// What this server and others tell each other. Cloning is cheap.
#[derive(Clone)]
pub struct Federation {
    pub(crate) inner: Arc<Inner>,
}

/// What every part of federation shares.
pub(crate) struct Inner {
    pub(crate) parts: FederationParts,
    pub(crate) key_ring: KeyRing,
    pub(crate) sender: Sender,
    pub(crate) inbound: Inbound,
    pub(crate) profiles: Profiles,
    pub(crate) history_turns: HistoryTurns,
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federation").finish_non_exhaustive()
    }
}

impl Federation {
    /// The service.
    #[must_use]
    pub fn new(parts: FederationParts) -> Self {
        let key_ring = KeyRing::new(&parts);
        let sender = Sender::new(SenderParts {
            store: parts.store.clone(),
            environment: parts.environment.clone(),
            server_name: parts.server_name.clone(),
            remote: parts.remote.clone(),
            rooms: parts.rooms.clone(),
        });
        let (inbound, profiles) = (Inbound::new(), Profiles::default());
        let history_turns = HistoryTurns::default();
        Self {
            inner: Arc::new(Inner { parts, key_ring, sender, inbound, profiles, history_turns }),
        }
    }

    /// Tells the services below whom to ask about what lies elsewhere.
    pub fn plug_in(&self) {
        let parts = &self.inner.parts;
        parts.rooms.set_elsewhere(Arc::new(Abroad::of(self)));
        parts.accounts.set_profiles_elsewhere(Arc::new(Abroad::of(self)));
        parts.keys.set_remote(KeysElsewhere::over(parts.remote.clone()));
        parts.media.set_remote(MediaElsewhere::over(parts.remote.clone()));
    }

    /// Tells rooms which identity servers the operator trusts; what they know is no matter of other
    /// homeservers.
    pub fn trust_identity_servers(&self, trusted: Vec<String>) {
        let servers = TrustedIdentityServers::of(self, trusted);
        self.inner.parts.rooms.set_identity_servers(Arc::new(servers));
    }

    /// Our name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.parts.server_name
    }

    /// The keys of this server and of others.
    #[must_use]
    pub fn key_ring(&self) -> &KeyRing {
        &self.inner.key_ring
    }

    /// The way to other servers.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.inner.parts.remote
    }

    /// Begins its background work.
    pub fn start(&self) {
        self.inner.sender.start();
        self.start_inbound();
    }
}
