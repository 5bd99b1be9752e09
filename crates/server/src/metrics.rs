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
    Ok(recorder.insert(handle).clone())
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
