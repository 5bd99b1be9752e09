//! `GET /_matrix/federation/v1/media/download/{mediaId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid>

use axum::{extract::State, response::Response};
use ruma::api::federation::authenticated_media::get_content::v1::Request;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError};
use vestibule_media::Media;

use super::{answer::answer, not_given};
use crate::guard::Origin;

#[instrument(name = "federation_api.media.get_content", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Response, MatrixError> {
    media.admit_server(&origin)?;
    let wanted = media.own(request.media_id, request.timeout_ms);
    let info = media.find_media(&wanted).await.map_err(not_given)?;
    answer(&media, &info).await
}
