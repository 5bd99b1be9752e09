//! `GET /_matrix/client/v1/media/config`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig>

use axum::extract::State;
use ruma::{UInt, api::client::authenticated_media::get_media_config::v1::Response};
use tracing::instrument;
use vestibule_http::{Caller, Outgoing};
use vestibule_media::Media;

#[instrument(name = "client_api.media.get_media_config", skip_all)]
pub(crate) async fn handle(State(media): State<Media>, Caller(_): Caller) -> Outgoing<Response> {
    Outgoing(Response::new(UInt::new_saturating(media.config().upload_bytes_max)))
}
