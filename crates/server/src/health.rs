//! Is the process alive, and does it accept work?

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use vestibule_storage::{Health, Store};

/// `/healthz`: the process answers. `/readyz`: it also takes writes.
pub(crate) fn router(store: Store) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(async move || ready(&store.health())))
}

fn ready(health: &Health) -> Response {
    match health {
        Health::Ready => Json(json!({ "status": "ready" })).into_response(),
        Health::WritesRefused(reason) => {
            let body = json!({ "status": "writes refused", "reason": reason });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}
