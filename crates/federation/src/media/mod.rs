//! Fetching files from other servers. They go through piece by piece: whoever keeps a file bounds it.

mod mixed;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use http::{HeaderMap, Method, Uri, header, uri::Scheme};
use ruma::{
    ServerName,
    api::{
        client::media::get_content::v3 as old,
        federation::authenticated_media::get_content::v1 as get_content,
    },
    http_headers::ContentDisposition,
};
use url::Url;
use vestibule_media::{FetchMediaError, FetchedMedia, RemoteMedia};
use vestibule_remote::{CallOptions, OpenReply, Remote, RemoteError, WebRequest, redirect};
use vestibule_types::{
    BoxFuture,
    limits::{MEDIA_FETCH_TIME_MAX, MEDIA_REDIRECTS_MAX, MEDIA_WAIT_MAX},
};

use self::mixed::{Mixed, MixedError, boundary};

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
        wait: Duration,
    ) -> Result<FetchedMedia, FetchMediaError> {
        let mut request = get_content::Request::new(media_id.to_owned());
        request.timeout_ms = wait;
        let reply = match self.remote.open_with(server, request, bounds()).await {
            Ok(reply) => reply,
            Err(error) if is_unknown_endpoint(&error) => {
                return self.fetch_as_before(server, media_id, wait).await;
            }
            Err(error) => return Err(failed(&error)),
        };
        let boundary = text(&reply.headers, header::CONTENT_TYPE).and_then(boundary);
        let boundary = boundary.ok_or(FetchMediaError::Failed)?;
        let mut parts = Mixed::new(reply.body, &boundary);
        // The first part is about the file, and says nothing yet.
        parts.next_part().await.map_err(|error| garbled(&error))?;
        let headers = parts.next_part().await.map_err(|error| garbled(&error))?;
        if let Some(location) = text(&headers, header::LOCATION) {
            return self.follow(location).await;
        }
        let pieces = stream::try_unfold(parts, |mut parts| async move {
            let piece = parts.piece().await.map_err(io::Error::other)?;
            Ok(piece.map(|piece| (piece, parts)))
        });
        Ok(labelled(&headers, None, Box::pin(pieces)))
    }

    /// Fetches a file from where its server says that it lies. The way to the web refuses private
    /// addresses, at each step.
    async fn follow(&self, location: &str) -> Result<FetchedMedia, FetchMediaError> {
        let mut url = Url::parse(location).map_err(|_| FetchMediaError::Failed)?;
        for _ in 0..=MEDIA_REDIRECTS_MAX {
            let asked = self.remote.web().open(request(&url)?).await;
            let reply = asked.map_err(|error| {
                tracing::debug!(%error, "a file cannot be fetched from where it lies");
                FetchMediaError::Failed
            })?;
            if let Some(next) = redirect(reply.status, &reply.headers) {
                url = url.join(next).map_err(|_| FetchMediaError::Failed)?;
                continue;
            }
            return match reply.status {
                http::StatusCode::OK => Ok(whole(reply)),
                http::StatusCode::NOT_FOUND => Err(FetchMediaError::NotFound),
                _ => Err(FetchMediaError::Failed),
            };
        }
        Err(FetchMediaError::Failed)
    }

    /// Asks as servers did before Matrix 1.11.
    #[expect(deprecated, reason = "old servers know nothing else")]
    async fn fetch_as_before(
        &self,
        server: &ServerName,
        media_id: &str,
        wait: Duration,
    ) -> Result<FetchedMedia, FetchMediaError> {
        let mut request = old::Request::new(media_id.to_owned(), server.to_owned());
        request.allow_remote = false;
        request.timeout_ms = wait;
        let reply = self.remote.open_with(server, request, bounds()).await;
        Ok(whole(reply.map_err(|error| failed(&error))?))
    }
}

impl RemoteMedia for MediaElsewhere {
    fn fetch<'a>(
        &'a self,
        server: &'a ServerName,
        media_id: &'a str,
        wait: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>> {
        Box::pin(self.fetch_file(server, media_id, wait.min(MEDIA_WAIT_MAX)))
    }
}

/// How many bytes there are is bounded by who keeps the file.
fn bounds() -> CallOptions {
    CallOptions {
        answer_bytes_max: usize::MAX,
        time_max: MEDIA_FETCH_TIME_MAX,
        ..CallOptions::default()
    }
}

/// A request for a file. Nothing is fetched in the clear.
fn request(url: &Url) -> Result<WebRequest, FetchMediaError> {
    let uri: Uri = url.as_str().parse().map_err(|_| FetchMediaError::Failed)?;
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(FetchMediaError::Failed);
    }
    Ok(WebRequest {
        method: Method::GET,
        url: uri,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        answer_bytes_max: usize::MAX,
        time_max: MEDIA_FETCH_TIME_MAX,
    })
}

/// An answer that is the file.
fn whole(reply: OpenReply) -> FetchedMedia {
    let size = reply.stated_length();
    labelled(&reply.headers, size, Box::pin(reply.body.map_err(io::Error::other)))
}

fn labelled(
    headers: &HeaderMap,
    size: Option<u64>,
    chunks: vestibule_media::Chunks,
) -> FetchedMedia {
    let disposition = headers.get(header::CONTENT_DISPOSITION);
    let disposition =
        disposition.and_then(|value| ContentDisposition::try_from(value.as_bytes()).ok());
    FetchedMedia {
        content_type: text(headers, header::CONTENT_TYPE).map(str::to_owned),
        name: disposition.and_then(|disposition| disposition.filename),
        size,
        chunks,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_unknown_endpoint(error: &RemoteError) -> bool {
    error.status() == Some(404) && error.errcode().is_none_or(|code| code == "M_UNRECOGNIZED")
}

fn failed(error: &RemoteError) -> FetchMediaError {
    match (error.status(), error.errcode()) {
        (_, Some("M_NOT_YET_UPLOADED")) => FetchMediaError::NotYetUploaded,
        (_, Some("M_TOO_LARGE")) => FetchMediaError::TooLarge,
        (Some(404), _) => FetchMediaError::NotFound,
        _ => FetchMediaError::Failed,
    }
}

fn garbled(error: &MixedError) -> FetchMediaError {
    tracing::debug!(%error, "a server answers with no file");
    FetchMediaError::Failed
}
