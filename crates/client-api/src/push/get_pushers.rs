//! `GET /_matrix/client/v3/pushers`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers>

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_push::{Push, ShownPusher};

use crate::failure;

/// The answer. Its `data` is what the client sent, whatever that was.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pushers: Vec<Pusher>,
}

#[derive(Debug, Serialize)]
struct Pusher {
    app_id: String,
    pushkey: String,
    kind: &'static str,
    app_display_name: String,
    device_display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_tag: Option<String>,
    lang: String,
    data: Map<String, Value>,
}

#[instrument(name = "client_api.push.get_pushers", skip_all)]
pub(crate) async fn handle(
    State(push): State<Push>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let pushers = push.pushers(&actor).await.map_err(failure::storage)?;
    Ok(OutgoingJson(Answer { pushers: pushers.into_iter().map(Pusher::from).collect() }))
}

impl From<ShownPusher> for Pusher {
    fn from(pusher: ShownPusher) -> Self {
        let mut data: Map<String, Value> = serde_json::from_str(&pusher.data).unwrap_or_default();
        data.insert("url".to_owned(), pusher.url.into());
        Self {
            app_id: pusher.app_id,
            pushkey: pusher.pushkey,
            kind: "http",
            app_display_name: pusher.app_display_name,
            device_display_name: pusher.device_display_name,
            profile_tag: pusher.profile_tag,
            lang: pusher.lang,
            data,
        }
    }
}
