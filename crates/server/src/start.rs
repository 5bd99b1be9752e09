//! From a configuration to a running server, and back to nothing.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use vestibule_accounts::RegistrationMode;
use vestibule_admin_api::{AdminServices, remote_doorway};
use vestibule_config::Loaded;
use vestibule_remote::Transport;
use vestibule_storage::{Executor, Store};
use vestibule_types::Environment;

use crate::{
    environment::{self, Tasks},
    health,
    house::{House, Purpose},
    jobs,
    listeners::{Bound, Surfaces},
    maintenance::Caretaker,
    metrics,
    policy_metrics::{PolicyMetrics, Sweeps},
    reload::{Reload, Reloadable, note_epoch},
    socket_path, store, sweep,
};

/// What a server is started with beside its configuration.
pub struct Options {
    /// Where its background work runs.
    pub tasks: Tasks,
    /// Time, randomness and spawning.
    pub environment: Environment,
    /// Where a new configuration would come from.
    pub reload: Option<Reload>,
    /// What carries requests to other servers instead of the network.
    pub transport: Option<Arc<dyn Transport>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// A running server.
pub struct Running {
    house: House,
    tasks: Tasks,
    addresses: Vec<SocketAddr>,
    reloadable: Arc<Reloadable>,
    grace: Duration,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Starts a server over the store that its configuration names.
pub async fn start(loaded: Loaded, options: Options) -> anyhow::Result<Running> {
    let opened = store::open(&loaded.config, &*options.environment.clock).await?;
    start_over(loaded, opened, options).await
}

/// Starts a server over a store that is open already.
pub async fn start_over(
    loaded: Loaded,
    opened: (Store, Arc<dyn Executor>),
    options: Options,
) -> anyhow::Result<Running> {
    let (store, tasks) = (opened.0.clone(), options.tasks.clone());
    // Boxed: it holds the whole configuration and everything that is made of it.
    let started = Box::pin(assemble(loaded, opened, options)).await;
    if started.is_err() {
        tasks.stop();
        tasks.wait().await;
        store.close().await;
    }
    started
}

async fn assemble(
    loaded: Loaded,
    opened: (Store, Arc<dyn Executor>),
    options: Options,
) -> anyhow::Result<Running> {
    let Options { tasks, environment, reload, transport } = options;
    let recorder = metrics::start()?;
    let (house, config) =
        House::build(loaded, opened, &environment, Purpose::Serve(transport)).await?;
    let reloadable = Arc::new(Reloadable {
        reload,
        store: house.store.clone(),
        policy: house.policy.clone(),
        accounts: house.accounts.clone(),
        federation: house.federation.clone(),
        certificates: parking_lot::Mutex::default(),
        config: config.clone(),
        turn: tokio::sync::Mutex::default(),
        swapped: Arc::default(),
    });
    let services = admin_services(&house, reloadable.clone());
    let sweeps = Arc::new(Sweeps::default());
    let surfaces = Surfaces {
        client: house.client_router(),
        federation: house.federation_router(),
        admin: vestibule_admin_api::router(
            services.clone(),
            remote_doorway(house.accounts.clone()),
        ),
        local: vestibule_admin_api::local_router(services),
        health: health::router(house.store.clone()),
        metrics: Arc::new(policy_metrics(&house, (&sweeps, &recorder))),
    };
    note_epoch(house.policy.current().epoch());
    if house.accounts.guests_off().await?.is_some() {
        tracing::warn!("guests are switched off; `vestibule guests on` lets them in again");
    }
    let bound = Bound::bind(&config, &surfaces, &environment).await?;
    reloadable.certificates.lock().clone_from(&bound.certificates);
    let addresses = bound.addresses.clone();
    metrics::keep(&recorder, &environment);
    let doers = jobs::Doers {
        rooms: house.rooms.clone(),
        federation: house.federation.clone(),
        media: house.media.clone(),
    };
    let bell = house.job_bell.clone();
    jobs::start(house.rooms.store().clone(), Arc::new(doers), &environment, bell);
    house.accounts.start();
    house.rooms.start();
    house.keys.start();
    house.sync.start();
    house.search.start();
    house.push.start();
    house.federation.start();
    let open = house.accounts.config().registration.mode == RegistrationMode::Open;
    let swept = (house.rooms.clone(), open, sweeps.clone());
    let kept = sweep::Kept {
        media: house.media.clone(),
        remote_keep: config.media.remote_keep.map(vestibule_config::Period::duration),
    };
    sweep::start(swept, kept, &environment, reloadable.swapped.clone());
    sweep::start_ending_guests((house.accounts.clone(), sweeps), &environment);
    sweep::start_ending_devices(house.accounts.clone(), &environment);
    bound.serve(&environment);
    let grace = config.limits.shutdown_grace.duration();
    Ok(Running { house, tasks, addresses, reloadable, grace })
}

impl Running {
    /// Where the configured listeners are, in their order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The socket at which it answers the command line.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_path(&self.reloadable.config.server.data_dir)
    }

    /// Its name.
    #[must_use]
    pub fn server_name(&self) -> &ruma::ServerName {
        self.house.rooms.server_name()
    }

    /// The client-server API without a listener, for the simulator.
    pub fn client_router(&self) -> Router {
        self.house.client_router()
    }

    /// The server-server API without a listener, for a network in memory.
    pub fn federation_router(&self) -> Router {
        self.house.federation_router()
    }

    /// The store under everything, for tests that look beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.house.store
    }

    /// The rooms, for tests that look beneath.
    #[must_use]
    pub fn rooms(&self) -> &vestibule_rooms::Rooms {
        &self.house.rooms
    }

    /// Whether anybody administers this server.
    pub async fn has_admin(&self) -> anyhow::Result<bool> {
        Ok(self.house.accounts.admins().await? > 0)
    }

    /// Reads the configuration again. On failure nothing is changed, and the error says why.
    pub async fn reload(&self) -> anyhow::Result<String> {
        self.reloadable.reload().await
    }

    /// Stops accepting, wakes who waits, lets requests end, and closes the database.
    pub async fn stop(self) {
        self.tasks.stop();
        let clock = self.house.environment.clock.clone();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = clock.sleep(self.grace) => {
                tracing::warn!("some requests did not end in time");
            }
        }
        self.house.store.close().await;
    }
}

/// A database opened by the command line itself, because no server runs.
pub(crate) struct Offline {
    house: House,
    tasks: Tasks,
    router: Router,
}

/// Opens the database for one question.
pub(crate) async fn offline(loaded: Loaded) -> anyhow::Result<Offline> {
    if loaded.config.storage.engine == vestibule_config::Engine::Memory {
        anyhow::bail!("no server is running, and storage.engine = \"memory\" keeps nothing");
    }
    let tasks = Tasks::on(tokio::runtime::Handle::current());
    let environment = environment::system(&tasks);
    let opened = store::open(&loaded.config, &*environment.clock).await?;
    let (house, config) = House::build(loaded, opened, &environment, Purpose::Answer).await?;
    let reloadable = Arc::new(Reloadable {
        reload: None,
        store: house.store.clone(),
        policy: house.policy.clone(),
        accounts: house.accounts.clone(),
        federation: house.federation.clone(),
        certificates: parking_lot::Mutex::default(),
        config,
        turn: tokio::sync::Mutex::default(),
        swapped: Arc::default(),
    });
    let router = vestibule_admin_api::local_router(admin_services(&house, reloadable));
    Ok(Offline { house, tasks, router })
}

impl Offline {
    /// What answers.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Ends it in good order.
    pub(crate) async fn close(self) {
        self.tasks.stop();
        self.tasks.wait().await;
        self.house.store.close().await;
    }
}

fn policy_metrics(
    house: &House,
    (sweeps, recorder): (&Arc<Sweeps>, &PrometheusHandle),
) -> PolicyMetrics {
    PolicyMetrics {
        policy: house.policy.clone(),
        accounts: house.accounts.clone(),
        rooms: house.rooms.clone(),
        sweeps: sweeps.clone(),
        environment: house.environment.clone(),
        recorder: recorder.clone(),
        published: parking_lot::Mutex::default(),
    }
}

fn admin_services(house: &House, reloadable: Arc<Reloadable>) -> AdminServices {
    let (store, environment) = (house.store.clone(), house.environment.clone());
    AdminServices {
        accounts: house.accounts.clone(),
        rooms: house.rooms.clone(),
        media: house.media.clone(),
        federation: house.federation.clone(),
        policy: house.policy.clone(),
        environment: house.environment.clone(),
        maintenance: Arc::new(Caretaker { store, reloadable, environment }),
    }
}
