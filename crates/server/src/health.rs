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

/// Everybody may ask, so the engine's own words, which name folders, stay in the log.
fn ready(health: &Health) -> Response {
    match health {
        Health::Ready => Json(json!({ "status": "ready" })).into_response(),
        Health::WritesRefused(reason) => {
            let body = json!({ "status": "writes refused", "reason": word(reason) });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

fn word(reason: &str) -> &'static str {
    let reason = reason.to_lowercase();
    let full = ["no space left", "quota exceeded"].iter().any(|words| reason.contains(words));
    if full { "disk full" } else { "database error" }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn told(reason: &str) -> String {
        let answer = ready(&Health::WritesRefused(reason.to_owned()));
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn whoever_asks_is_told_a_word_and_no_folder() {
        let full =
            "IO error: No space left on device: While appending to file: /srv/data/db/000009.sst";
        assert_eq!(told(full).await, r#"{"reason":"disk full","status":"writes refused"}"#);
        let other = told("Corruption: block checksum mismatch in /srv/data/db/000009.sst").await;
        assert_eq!(other, r#"{"reason":"database error","status":"writes refused"}"#);
    }
}
