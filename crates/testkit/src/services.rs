//! The services of a server over one store, wired as `server` wires them, without a surface and without
//! other servers.

use std::sync::Arc;

use ruma::{OwnedServerName, ServerName};
use vestibule_accounts::{Accounts, AccountsConfig, AccountsParts};
use vestibule_events::SigningKey;
use vestibule_keys::{Keys, KeysParts};
use vestibule_media::{Media, MediaConfig, MediaParts, MemoryObjects};
use vestibule_policy::{PolicyConfig, PolicyHandle, RateBuckets, compile};
use vestibule_rooms::{Rooms, RoomsConfig, RoomsParts};
use vestibule_storage::{InlineExecutor, Store};

use crate::TestEnvironment;

/// What a test wants of the services.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy they are under.
    pub policy: PolicyConfig,
    /// Accounts; their server's name is everybody's.
    pub accounts: AccountsConfig,
    /// Rooms.
    pub rooms: RoomsConfig,
    /// Media: files of a thousand bytes, unless a test says otherwise.
    pub media: MediaConfig,
}

/// Services that share a store, a policy and a clock.
pub struct Services {
    /// Their name.
    pub server_name: OwnedServerName,
    /// What they sign with.
    pub signing_key: Arc<SigningKey>,
    /// What they share.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// Moves their time.
    pub test: TestEnvironment,
    /// Accounts.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// Keys of devices.
    pub keys: Keys,
    /// Files.
    pub media: Media,
    /// The bytes of the files.
    pub objects: MemoryObjects,
}

impl Settings {
    /// The defaults of every service, for a server of this name.
    #[must_use]
    pub fn of(server_name: &ServerName) -> Self {
        Self {
            policy: PolicyConfig::default(),
            accounts: AccountsConfig::new(server_name.to_owned()),
            rooms: RoomsConfig::default(),
            media: MediaConfig {
                upload_bytes_max: 1_000,
                user_bytes_max: None,
                remote_bytes_max: None,
                open_downloads: false,
            },
        }
    }

    /// The services over a store, at the time of an environment.
    #[must_use]
    pub fn over(self, store: Store, test: TestEnvironment) -> Services {
        let server_name = self.accounts.server_name.clone();
        let environment = test.environment.clone();
        let compiled = compile(&self.policy, &server_name).expect("a policy without errors");
        let policy = PolicyHandle::new(compiled.0);
        let rates = Arc::new(RateBuckets::default());
        let signing_key = Arc::new(SigningKey::from_seed([7; 32], "a").expect("a key"));
        let rooms = Rooms::new(RoomsParts {
            store: store.clone(),
            policy: policy.clone(),
            rates: rates.clone(),
            environment: environment.clone(),
            server_name: server_name.clone(),
            signing_key: signing_key.clone(),
            config: self.rooms,
            job_bell: Arc::default(),
        });
        let accounts = Accounts::new(AccountsParts {
            store: store.clone(),
            policy: policy.clone(),
            rates: rates.clone(),
            environment: environment.clone(),
            executor: Arc::new(InlineExecutor),
            config: self.accounts,
        });
        let objects = MemoryObjects::new(environment.clock.clone());
        let media = Media::new(MediaParts {
            store: store.clone(),
            objects: Arc::new(objects.clone()),
            executor: Arc::new(InlineExecutor),
            policy: policy.clone(),
            rates: rates.clone(),
            environment: environment.clone(),
            server_name: server_name.clone(),
            config: self.media,
        });
        let keys = Keys::new(KeysParts {
            store: store.clone(),
            policy: policy.clone(),
            rates,
            environment,
            server_name: server_name.clone(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
        });
        Services {
            server_name,
            signing_key,
            store,
            policy,
            test,
            accounts,
            rooms,
            keys,
            media,
            objects,
        }
    }
}
