//! Remembering delegations, and asking for each only once at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::watch;
use vestibule_types::{
    Environment,
    limits::{
        WELL_KNOWN_AGE_MAX, WELL_KNOWN_CACHED_MAX, WELL_KNOWN_FAILURE_MAX, WELL_KNOWN_FAILURE_MIN,
    },
};

use super::{
    authority::Authority,
    client::HttpClient,
    well_known::{Fetched, fetch},
};

/// What is known of a host's delegation.
#[derive(Clone, Debug)]
struct Known {
    /// Where it leads, and when that was heard.
    delegated: Option<(Authority, u64)>,
    /// When to ask again, in milliseconds since the Unix epoch.
    ask_at: u64,
    /// Failures in a row.
    failures: u32,
}

/// The delegations of hosts. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Delegations {
    inner: Arc<Inner>,
}

struct Inner {
    client: HttpClient,
    environment: Environment,
    known: Cache<String, Known>,
    underway: Mutex<BTreeMap<String, watch::Receiver<bool>>>,
}

impl Delegations {
    pub(crate) fn new(client: HttpClient, environment: Environment) -> Self {
        let known = Cache::new(WELL_KNOWN_CACHED_MAX);
        let inner = Inner { client, environment, known, underway: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Which authority stands for a host; `None` is the host itself.
    pub(crate) async fn of(&self, host: &str) -> Option<Authority> {
        let now = self.inner.environment.now_ms();
        if self.inner.known.get(host).is_none_or(|known| known.ask_at <= now) {
            let mut done = self.ask(host);
            // The task is gone when the server stops; then nobody cares any more.
            let _: Result<_, _> = done.wait_for(|done| *done).await;
        }
        self.inner.known.get(host)?.delegated.map(|(to, _)| to)
    }

    /// Asks anew, for the sake of what is said on the way.
    pub(crate) async fn ask_anew(&self, host: &str) -> Fetched {
        let fetched = fetch(&self.inner.client, &self.inner.environment, host).await;
        self.inner.learn(host, fetched.clone());
        fetched
    }

    /// Forgets what is known of a host.
    pub(crate) fn forget(&self, host: &str) {
        self.inner.known.invalidate(host);
    }

    /// Asks a host in the background, unless somebody does already: whoever waits may go away, and
    /// the answer is remembered all the same.
    fn ask(&self, host: &str) -> watch::Receiver<bool> {
        let mut underway = self.inner.underway.lock();
        if let Some(done) = underway.get(host) {
            return done.clone();
        }
        let (tell, done) = watch::channel(false);
        underway.insert(host.to_owned(), done.clone());
        drop(underway);
        let (inner, host) = (Arc::clone(&self.inner), host.to_owned());
        let stopping = inner.environment.spawner.stopping();
        let spawner = Arc::clone(&inner.environment.spawner);
        let asking = async move {
            tokio::select! {
                biased;
                fetched = fetch(&inner.client, &inner.environment, &host) => {
                    inner.learn(&host, fetched);
                }
                () = stopping => {}
            }
            inner.underway.lock().remove(&host);
            tell.send_replace(true);
        };
        spawner.spawn("fetching a delegation", Box::pin(asking));
        done
    }
}

impl Inner {
    fn learn(&self, host: &str, fetched: Fetched) {
        let now = self.environment.now_ms();
        let known = match fetched {
            Fetched::Delegated { to, age } => Known {
                delegated: Some((to, now)),
                ask_at: now.saturating_add(millis(age)),
                failures: 0,
            },
            Fetched::Absent(reason) => {
                tracing::debug!(%host, %reason, "a host delegates nothing");
                let ask_at = now.saturating_add(millis(WELL_KNOWN_FAILURE_MAX));
                Known { delegated: None, ask_at, failures: 0 }
            }
            Fetched::Failed(reason) => {
                tracing::debug!(%host, %reason, "a host could not be asked for its delegation");
                self.failed(host, now)
            }
        };
        self.known.insert(host.to_owned(), known);
    }

    /// What was heard not too long ago still holds when the host is away for a moment.
    fn failed(&self, host: &str, now: u64) -> Known {
        let before = self.known.get(host);
        let failures = before.as_ref().map_or(0, |before| before.failures).saturating_add(1);
        let doubled = 1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX);
        let wait = millis(WELL_KNOWN_FAILURE_MIN).saturating_mul(doubled);
        let delegated = before
            .and_then(|before| before.delegated)
            .filter(|(_, heard)| heard.saturating_add(millis(WELL_KNOWN_AGE_MAX)) > now);
        let ask_at = now.saturating_add(wait.min(millis(WELL_KNOWN_FAILURE_MAX)));
        Known { delegated, ask_at, failures }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
