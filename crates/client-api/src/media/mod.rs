//! Files: uploads, downloads, thumbnails.
//!
//! The endpoints under `/_matrix/media` that need no login are frozen, as the specification asks for:
//! they know of nothing uploaded to this server unless the operator opens them.

mod create_content;
mod create_content_async;
mod create_mxc_uri;
mod file;
mod get_content;
mod get_content_as_filename;
mod get_content_thumbnail;
mod get_media_config;
mod get_media_preview;
mod old;

use http::StatusCode;
use ruma::api::{
    client::{authenticated_media, media},
    error::ErrorKind,
};
use vestibule_http::{MatrixError, internal, unavailable};
use vestibule_media::{DownloadMediaError, PreviewUrlError, ThumbnailError, UploadMediaError};
use vestibule_policy::{
    Ability,
    EndpointRule::{Anonymous, Authenticated, May},
};

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let upload = May(Ability::UploadMedia);
    let routes = routes
        .mount::<media::create_content::v3::Request, _>(upload, create_content::handle)
        .mount::<media::create_mxc_uri::v1::Request, _>(upload, create_mxc_uri::handle)
        .mount::<media::create_content_async::v3::Request, _>(upload, create_content_async::handle)
        .mount::<authenticated_media::get_media_config::v1::Request, _>(
            Authenticated,
            get_media_config::handle,
        )
        .mount::<authenticated_media::get_media_preview::v1::Request, _>(
            May(Ability::PreviewUrl),
            get_media_preview::handle,
        )
        .mount::<authenticated_media::get_content::v1::Request, _>(
            Authenticated,
            get_content::handle,
        )
        .mount::<authenticated_media::get_content_as_filename::v1::Request, _>(
            Authenticated,
            get_content_as_filename::handle,
        )
        .mount::<authenticated_media::get_content_thumbnail::v1::Request, _>(
            Authenticated,
            get_content_thumbnail::handle,
        );
    old_routes(routes)
}

#[expect(deprecated, reason = "old clients still ask")]
fn old_routes(routes: ClientRoutes) -> ClientRoutes {
    routes
        .mount::<media::get_media_config::v3::Request, _>(Authenticated, get_media_config::handle)
        .mount::<media::get_media_preview::v3::Request, _>(
            May(Ability::PreviewUrl),
            get_media_preview::handle,
        )
        .mount_limited::<media::get_content::v3::Request, _>(Anonymous, old::get_content::handle)
        .mount_limited::<media::get_content_as_filename::v3::Request, _>(
            Anonymous,
            old::get_content_as_filename::handle,
        )
        .mount_limited::<media::get_content_thumbnail::v3::Request, _>(
            Anonymous,
            old::get_content_thumbnail::handle,
        )
}

fn not_stored(error: UploadMediaError) -> MatrixError {
    let answer = |status, kind| MatrixError::new(status, kind, error.to_string());
    match error {
        UploadMediaError::Denied(denial) => denial.into(),
        UploadMediaError::TooLarge => MatrixError::too_large(error.to_string()),
        UploadMediaError::QuotaReached => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden, error.to_string())
        }
        UploadMediaError::LongLabel => MatrixError::invalid_param(error.to_string()),
        UploadMediaError::TooSlow => answer(StatusCode::REQUEST_TIMEOUT, ErrorKind::Unknown),
        UploadMediaError::BrokenOff => answer(StatusCode::BAD_REQUEST, ErrorKind::Unknown),
        UploadMediaError::Busy => unavailable(&error),
        UploadMediaError::NotFound => MatrixError::not_found(error.to_string()),
        UploadMediaError::SomebodyElses => MatrixError::forbidden(error.to_string()),
        UploadMediaError::Overwrite => {
            answer(StatusCode::CONFLICT, ErrorKind::CannotOverwriteMedia)
        }
        UploadMediaError::Disk(cause) => unavailable(&cause),
        UploadMediaError::Storage(cause) => failure::storage(cause),
    }
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

fn not_previewed(error: PreviewUrlError) -> MatrixError {
    let message = error.to_string();
    let answer = |status, kind| MatrixError::new(status, kind, message.clone());
    match error {
        PreviewUrlError::Disabled => answer(StatusCode::NOT_FOUND, ErrorKind::Unrecognized),
        PreviewUrlError::BadUrl => MatrixError::invalid_param(message),
        PreviewUrlError::NotAllowed => MatrixError::forbidden(message),
        PreviewUrlError::Unreachable => answer(StatusCode::BAD_GATEWAY, ErrorKind::Unknown),
        PreviewUrlError::Busy => unavailable(&error),
        PreviewUrlError::Denied(denial) => denial.into(),
        PreviewUrlError::Storage(cause) => internal(&*cause),
    }
}

fn not_made(error: ThumbnailError) -> MatrixError {
    match error {
        ThumbnailError::BadSize => MatrixError::invalid_param(error.to_string()),
        ThumbnailError::NotAnImage => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, error.to_string())
        }
        ThumbnailError::TooLarge => MatrixError::too_large(error.to_string()),
        ThumbnailError::TooLargeElsewhere => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::TooLarge, error.to_string())
        }
        ThumbnailError::Gone => MatrixError::not_found(error.to_string()),
        ThumbnailError::Busy => unavailable(&error),
        ThumbnailError::Disk(cause) => internal(&cause),
        ThumbnailError::Storage(cause) => failure::storage(cause),
    }
}
