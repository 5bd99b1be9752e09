//! What Prometheus reads.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use vestibule_types::Environment;

use crate::policy_metrics::PolicyMetrics;

const PATH: &str = "/metrics";

/// How often old samples are folded into their summaries.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds in seconds, from a cached read to a long-poll.
const SECONDS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Begins to record, once in a process: the recorder is the process's own.
pub(crate) fn start() -> anyhow::Result<PrometheusHandle> {
    // Locked until it is installed: two servers of one process may start at the same moment.
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock();
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot record metrics")?;
    begin_at_zero();
    Ok(recorder.insert(handle).clone())
}

/// Counters, their label and its words. Each exists from the start on, so that whoever watches for the first
/// one of something sees it come. Those of the policy have the operator's own classes as labels, and come
/// with the first decision.
const COUNTERS: &[(&str, &str, &[&str])] = &[
    ("vestibule_http_requests_total", "status", &["2xx", "3xx", "4xx", "5xx"]),
    ("vestibule_jobs_total", "outcome", &["done", "failed"]),
    (
        "vestibule_account_moderation_total",
        "act",
        &["lock", "unlock", "suspend", "unsuspend", "deactivate"],
    ),
    ("vestibule_mail_total", "outcome", &["sent", "put_off", "refused", "late"]),
    ("vestibule_push_requests_total", "outcome", &["sent", "rejected", "refused", "failed"]),
    (
        "vestibule_remote_requests_total",
        "outcome",
        &[
            "answered",
            "answered_error",
            "backing_off",
            "bad_answer",
            "bad_request",
            "refused",
            "storage",
            "unreachable",
        ],
    ),
    ("vestibule_federation_transactions_total", "outcome", &["taken", "failed"]),
    (
        "vestibule_federation_pdus_total",
        "outcome",
        &["accepted", "soft_failed", "known", "rejected", "waiting", "ignored", "dropped"],
    ),
    (
        "vestibule_federation_edus_total",
        "outcome",
        &[
            "device_list",
            "direct",
            "failed",
            "foreign",
            "ignored",
            "limited",
            "malformed",
            "not_in_room",
            "presence",
            "receipt",
            "signing_keys",
            "too_much",
            "typing",
        ],
    ),
    ("vestibule_policy_grants_total", "rule", &["alias", "list", "space", "guest_link", "any"]),
];

/// Counters without a label.
const BARE_COUNTERS: &[&str] = &[
    "vestibule_rooms_left_unmanaged_total",
    "vestibule_key_fetches_total",
    "vestibule_federation_staged_done_total",
    "vestibule_federation_staged_dropped_total",
];

fn begin_at_zero() {
    for (name, label, words) in COUNTERS {
        for word in *words {
            metrics::counter!(*name, *label => *word).increment(0);
        }
    }
    for name in BARE_COUNTERS {
        metrics::counter!(*name).increment(0);
    }
    for outcome in ["answered", "failed"] {
        for purpose in ["servers", "gateways", "pages"] {
            let labels = [("outcome", outcome), ("purpose", purpose)];
            metrics::counter!("vestibule_remote_web_requests_total", &labels).increment(0);
        }
    }
    for name in ["vestibule_http_connections", "vestibule_federation_servers_waiting"] {
        metrics::gauge!(name).increment(0.0);
    }
}

/// Keeps the recorder's memory bounded while the server runs.
pub(crate) fn keep(handle: &PrometheusHandle, environment: &Environment) {
    let (handle, clock) = (handle.clone(), environment.clock.clone());
    let stopping = environment.spawner.stopping();
    environment.spawner.spawn(
        "metrics upkeep",
        Box::pin(async move {
            let upkeep = async {
                loop {
                    clock.sleep(UPKEEP).await;
                    handle.run_upkeep();
                }
            };
            tokio::select! {
                biased;
                () = upkeep => {}
                () = stopping => {}
            }
        }),
    );
}

/// `/metrics`
pub(crate) fn router(metrics: Arc<PolicyMetrics>) -> Router {
    Router::new().route(
        PATH,
        get(move || {
            let metrics = Arc::clone(&metrics);
            async move {
                let text = metrics.render().await;
                ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
            }
        }),
    )
}
