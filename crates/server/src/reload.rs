//! A new configuration for a running server: policy, log level, certificates and which other servers
//! are talked to, all or nothing.

use std::{
    fmt::{self, Write},
    path::Path,
    sync::Arc,
};

use anyhow::bail;
use ruma::ServerName;
use tokio::sync::Notify;
use vestibule_accounts::Accounts;
use vestibule_config::{Config, LoadError, Loaded, load};
use vestibule_federation::Federation;
use vestibule_http::Certificates;
use vestibule_policy::PolicyHandle;
use vestibule_storage::Store;

use crate::{
    guests_switch::as_switched,
    identity::{next_policy_epoch, policy_epoch},
    reaching,
    telemetry::{self, LogLevel},
};

type Source = Arc<dyn Fn() -> Result<Loaded, LoadError> + Send + Sync>;

/// Where a new configuration comes from, and the log level it may change.
#[derive(Clone)]
pub struct Reload {
    source: Source,
    level: Option<LogLevel>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Reload {
    /// From a file.
    pub(crate) fn of(file: &Path, level: LogLevel) -> Self {
        let file = file.to_owned();
        Self { source: Arc::new(move || load(&file)), level: Some(level) }
    }

    /// From anywhere else; the log level stays.
    pub fn from(source: impl Fn() -> Result<Loaded, LoadError> + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(source), level: None }
    }
}

/// What a reload changes.
pub(crate) struct Reloadable {
    pub(crate) reload: Option<Reload>,
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) accounts: Accounts,
    pub(crate) federation: Federation,
    pub(crate) certificates: parking_lot::Mutex<Vec<Arc<Certificates>>>,
    /// What the server was started with.
    pub(crate) config: Config,
    /// One reload at a time: the policy of the last one stays.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Rung when another policy is in force.
    pub(crate) swapped: Arc<Notify>,
}

impl Reloadable {
    /// Reads everything first; changes something only when all of it is good. Says what is new.
    pub(crate) async fn reload(&self) -> anyhow::Result<String> {
        let Some(reload) = &self.reload else {
            bail!("this process has no configuration file to read again");
        };
        let _turn = self.turn.lock().await;
        let loaded = (reload.source)()?;
        same_server(self.config.server_name(), loaded.config.server_name())?;
        let filter = telemetry::filter(&loaded.config.log)?;
        let certificates = self.certificates.lock().clone();
        let certificates = certificates.into_iter().map(|old| Ok((old.load()?, old)));
        let certificates = certificates.collect::<anyhow::Result<Vec<_>>>()?;
        let policy = as_switched(&self.store, loaded.policy).await?;

        // Who sees the new epoch before the swap finds the policy that belongs to it.
        let next = policy_epoch(&self.store).await?.saturating_add(1);
        self.policy.announce(policy.clone().at_epoch(next));
        let epoch = next_policy_epoch(&self.store).await?;
        self.policy.swap(policy.at_epoch(epoch));
        note_epoch(epoch);
        self.swapped.notify_one();
        let remote = self.federation.remote();
        remote.reconfigure(reaching::decided(&loaded.config, remote.is_enabled()));
        self.federation.key_ring().set_notaries(loaded.config.federation.notaries.clone());
        for (new, current) in certificates {
            current.replace(new);
        }
        if let Some(level) = &reload.level {
            level.set(filter)?;
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(told(epoch, &self.config, &loaded.config))
    }
}

/// Tells Prometheus which policy is in force.
#[expect(clippy::cast_precision_loss, reason = "an epoch beyond 2^53 is not reached")]
pub(crate) fn note_epoch(epoch: u64) {
    metrics::gauge!("vestibule_policy_epoch").set(epoch as f64);
}

fn same_server(old: &ServerName, new: &ServerName) -> anyhow::Result<()> {
    if old != new {
        bail!("server.name = {new}: this server is {old}, and a server's name cannot be changed");
    }
    Ok(())
}

/// Whether the ways to other servers are not those they were: they were laid at the start.
fn reached_otherwise(
    old: &vestibule_config::Federation,
    new: &vestibule_config::Federation,
) -> bool {
    let ways = |it: &vestibule_config::Federation| {
        let resolved = (it.resolve.clone(), it.resolve_web.clone(), it.name_servers.clone());
        (it.enabled, it.ca_file.clone(), it.allowed_networks.clone(), resolved)
    };
    ways(old) != ways(new)
}

/// What is in force now, and what waits for a restart.
fn told(epoch: u64, old: &Config, new: &Config) -> String {
    let later = [
        ("server", old.server != new.server),
        ("listener", old.listeners != new.listeners),
        ("storage", old.storage != new.storage),
        ("registration", old.registration != new.registration),
        ("login", old.login != new.login),
        ("email", old.email != new.email),
        ("support", old.support != new.support),
        ("voip", old.voip != new.voip),
        ("rooms.default_version", old.rooms != new.rooms),
        ("limits", old.limits != new.limits),
        ("federation", reached_otherwise(&old.federation, &new.federation)),
        ("log.format", old.log.format != new.log.format),
    ];
    let later = later.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name);
    let later = later.collect::<Vec<_>>();
    let mut told =
        format!("policy epoch {epoch}, log level, certificates and lists of servers are in force");
    if !later.is_empty() {
        let _infallible = write!(told, "; changed but waiting for a restart: {}", later.join(", "));
    }
    told
}
