//! `GET /_matrix/federation/v1/media/thumbnail/{mediaId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediathumbnailmediaid>

use axum::{extract::State, response::Response};
use http::StatusCode;
use ruma::{
    UInt,
    api::{error::ErrorKind, federation::authenticated_media::get_content_thumbnail::v1::Request},
    media::Method,
};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, internal, unavailable};
use vestibule_media::{Media, Thumbnail, ThumbnailError};

use super::{answer::answer, not_given};
use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.media.get_content_thumbnail", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Response, MatrixError> {
    let side = |side: UInt| u32::try_from(side).unwrap_or(u32::MAX);
    let thumbnail = Thumbnail {
        width: side(request.width),
        height: side(request.height),
        crop: request.method == Some(Method::Crop),
        animated: request.animated.unwrap_or(false),
    };
    media.admit_server(&origin)?;
    let wanted = media.own(request.media_id, request.timeout_ms);
    let info = media.find_media(&wanted).await.map_err(not_given)?;
    let info = media.thumbnail(&info, thumbnail).await.map_err(not_made)?;
    answer(&media, &info).await
}

fn not_made(error: ThumbnailError) -> MatrixError {
    match error {
        ThumbnailError::BadSize => MatrixError::invalid_param(error.to_string()),
        ThumbnailError::NotAnImage => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, error.to_string())
        }
        ThumbnailError::TooLarge | ThumbnailError::TooLargeElsewhere => {
            MatrixError::too_large(error.to_string())
        }
        ThumbnailError::Gone => MatrixError::not_found(error.to_string()),
        ThumbnailError::Busy => unavailable(&error),
        ThumbnailError::Disk(cause) => internal(&cause),
        ThumbnailError::Storage(cause) => failure::storage(cause),
    }
}
