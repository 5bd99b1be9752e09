//! Fetching files from other servers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use ruma::{
    ServerName,
    api::{
        client::media::get_content::v3 as old,
        federation::authenticated_media::{FileOrLocation, get_content::v1 as get_content},
    },
    http_headers::ContentDisposition,
};
use vestibule_media::{FetchMediaError, FetchedMedia, RemoteMedia};
use vestibule_remote::{CallOptions, Remote, RemoteError};
use vestibule_types::{
    BoxFuture,
    limits::{MEDIA_ENVELOPE_BYTES_MAX, MEDIA_FETCH_TIME_MAX, MEDIA_WAIT_MAX},
};

/// The files that other servers have.
pub(crate) struct MediaElsewhere {
    remote: Remote,
}

impl MediaElsewhere {
    /// Asks over this way out.
    pub(crate) fn over(remote: Remote) -> Arc<Self> {
        Arc::new(Self { remote })
    }

    async fn fetch_file(
        &self,
        server: &ServerName,
        media_id: &str,
        bounds: CallOptions,
        wait: Duration,
    ) -> Result<FetchedMedia, FetchMediaError> {
        let mut request = get_content::Request::new(media_id.to_owned());
        request.timeout_ms = wait;
        let answer = match self.remote.call_with(server, request, bounds).await {
            Ok(answer) => answer,
            Err(error) if is_unknown_endpoint(&error) => {
                return self.fetch_as_before(server, media_id, bounds, wait).await;
            }
            Err(error) => return Err(failed(&error)),
        };
        match answer.content {
            FileOrLocation::File(file) => Ok(FetchedMedia {
                content_type: file.content_type,
                name: name(file.content_disposition),
                body: file.file.into(),
            }),
            // An address anywhere in the world is not followed.
            FileOrLocation::Location(_) | _ => Err(FetchMediaError::Failed),
        }
    }

    /// Asks as servers did before Matrix 1.11.
    #[expect(deprecated, reason = "old servers know nothing else")]
    async fn fetch_as_before(
        &self,
        server: &ServerName,
        media_id: &str,
        bounds: CallOptions,
        wait: Duration,
    ) -> Result<FetchedMedia, FetchMediaError> {
        let mut request = old::Request::new(media_id.to_owned(), server.to_owned());
        request.allow_remote = false;
        request.timeout_ms = wait;
        let answer = self.remote.call_with(server, request, bounds).await;
        let answer = answer.map_err(|error| failed(&error))?;
        Ok(FetchedMedia {
            content_type: answer.content_type,
            name: name(answer.content_disposition),
            body: answer.file.into(),
        })
    }
}

impl RemoteMedia for MediaElsewhere {
    fn fetch<'a>(
        &'a self,
        server: &'a ServerName,
        media_id: &'a str,
        bytes_max: u64,
        wait: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let bounds = CallOptions {
            answer_bytes_max: bytes_max.saturating_add(MEDIA_ENVELOPE_BYTES_MAX),
            time_max: MEDIA_FETCH_TIME_MAX,
            ..CallOptions::default()
        };
        Box::pin(async move {
            let fetching = self.fetch_file(server, media_id, bounds, wait.min(MEDIA_WAIT_MAX));
            // The library's reader of multipart bodies panics on a part without a line end.
            let fetched = AssertUnwindSafe(fetching).catch_unwind().await;
            fetched.unwrap_or(Err(FetchMediaError::Failed))
        })
    }
}

fn name(disposition: Option<ContentDisposition>) -> Option<String> {
    disposition.and_then(|disposition| disposition.filename)
}

fn is_unknown_endpoint(error: &RemoteError) -> bool {
    error.status() == Some(404) && error.errcode().is_none_or(|code| code == "M_UNRECOGNIZED")
}

fn failed(error: &RemoteError) -> FetchMediaError {
    match (error.status(), error.errcode()) {
        (_, Some("M_NOT_YET_UPLOADED")) => FetchMediaError::NotYetUploaded,
        (Some(404), _) => FetchMediaError::NotFound,
        _ => FetchMediaError::Failed,
    }
}
