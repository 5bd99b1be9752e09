//! Our files, for other servers.

mod answer;
mod get_content;
mod get_content_thumbnail;

use http::StatusCode;
use ruma::api::{error::ErrorKind, federation::authenticated_media};
use vestibule_http::{MatrixError, internal, unavailable};
use vestibule_media::DownloadMediaError;

use crate::{BodySize::Usual, FederationRoutes, failure};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<authenticated_media::get_content::v1::Request, _>(Usual, get_content::handle)
        .mount::<authenticated_media::get_content_thumbnail::v1::Request, _>(
        Usual,
        get_content_thumbnail::handle,
    )
}

fn not_given(error: DownloadMediaError) -> MatrixError {
    match error {
        DownloadMediaError::NotFound => MatrixError::not_found(error.to_string()),
        DownloadMediaError::NotYetUploaded => MatrixError::new(
            StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::NotYetUploaded,
            error.to_string(),
        ),
        DownloadMediaError::TooLarge => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::TooLarge, error.to_string())
        }
        DownloadMediaError::Busy | DownloadMediaError::NoRoom => unavailable(&error),
        DownloadMediaError::Unreachable => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, error.to_string())
        }
        DownloadMediaError::Disk(cause) => internal(&cause),
        DownloadMediaError::Storage(cause) => failure::storage(cause),
    }
}
