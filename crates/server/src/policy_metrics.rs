//! What Prometheus reads of the policy: taken from where it is kept anyway when somebody asks, so that
//! deciding pays for a count and for nothing else.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::Counter;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use vestibule_accounts::Accounts;
use vestibule_policy::{Opener, PolicyHandle, Told};
use vestibule_rooms::Rooms;
use vestibule_types::Environment;

/// When the next one of something is due, in milliseconds since the Unix epoch; zero if none is. It stays in
/// the past for as long as it is not done.
#[derive(Debug, Default)]
pub(crate) struct Due(AtomicU64);

impl Due {
    /// Says when the next one is due.
    pub(crate) fn set(&self, at_ms: Option<u64>) {
        self.0.store(at_ms.unwrap_or_default(), Ordering::Relaxed);
    }

    fn late_ms(&self, now: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => 0,
            due => now.saturating_sub(due),
        }
    }
}

/// What the sweeps of this server have before them.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    /// Frozen members that have to leave.
    pub(crate) evictions: Due,
    /// Guests whose time is over.
    pub(crate) expiries: Due,
}

/// The policy of one server, as Prometheus reads it.
pub(crate) struct PolicyMetrics {
    pub(crate) policy: PolicyHandle,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) sweeps: Arc<Sweeps>,
    pub(crate) environment: Environment,
    pub(crate) recorder: PrometheusHandle,
    pub(crate) published: Mutex<Published>,
}

/// Counters and how much of the policy's counts went into them. They are looked up once.
#[derive(Default)]
pub(crate) struct Published {
    decisions: BTreeMap<Told, OneCount>,
    grants: BTreeMap<Opener, OneCount>,
}

/// One counter. Several servers of one process share it, so it is told what is new.
struct OneCount {
    counter: Counter,
    told: u64,
}

impl OneCount {
    fn new(counter: Counter) -> Self {
        Self { counter, told: 0 }
    }

    fn bring_to(&mut self, count: u64) {
        self.counter.increment(count.saturating_sub(self.told));
        self.told = count;
    }
}

/// Held from setting gauges until they are rendered: they are the process's, and another server of the
/// process would set its own.
static RENDERING: Mutex<()> = Mutex::new(());

impl PolicyMetrics {
    /// Everything this process records, with the policy of this server as it is now.
    pub(crate) async fn render(&self) -> String {
        let live = self.accounts.live_guests().await.unwrap_or_else(|cause| {
            tracing::error!(cause = &cause as &dyn Error, "guests could not be counted");
            0
        });
        let waiting = self.rooms.oldest_scope_job().await.unwrap_or_else(|cause| {
            tracing::error!(cause = &cause as &dyn Error, "jobs could not be looked at");
            None
        });
        let now = self.environment.now_ms();
        let late = [
            ("freeze", waiting.map_or(0, |due| now.saturating_sub(due))),
            ("evict", self.sweeps.evictions.late_ms(now)),
            ("expire", self.sweeps.expiries.late_ms(now)),
        ];
        let _rendering = RENDERING.lock();
        self.published.lock().bring_up_to_date(&self.policy);
        #[expect(clippy::cast_precision_loss, reason = "guests and milliseconds below 2^53")]
        {
            metrics::gauge!("vestibule_policy_live_guests").set(live as f64);
            for (work, late_ms) in late {
                metrics::gauge!("vestibule_policy_sweep_lag_seconds", "work" => work)
                    .set(late_ms as f64 / 1_000.0);
            }
        }
        self.recorder.render()
    }
}

impl Published {
    fn bring_up_to_date(&mut self, policy: &PolicyHandle) {
        for (told, count) in policy.counts() {
            let labels = [
                ("class", told.class.to_string()),
                ("action", told.action.to_owned()),
                ("verdict", told.word.name().to_owned()),
                ("reason", told.reason.map_or("", |reason| reason.code()).to_owned()),
            ];
            let counter =
                || OneCount::new(metrics::counter!("vestibule_policy_decisions_total", &labels));
            self.decisions.entry(told).or_insert_with(counter).bring_to(count);
        }
        for (opener, count) in policy.grants() {
            let labels = [("rule", opener.name())];
            let counter =
                || OneCount::new(metrics::counter!("vestibule_policy_grants_total", &labels));
            self.grants.entry(opener).or_insert_with(counter).bring_to(count);
        }
    }
}
