//! Requests to what lies on the web and is no homeserver: identity servers, files that other servers lead
//! to, push gateways, pages of which previews are made.
//!
//! The address may be a stranger's choice. It is held to the same filter as servers are: nothing behind
//! this machine's own walls is reached unless the operator lists its network, and for each purpose the
//! operator lists others. A redirect is a request of its own, judged like the first.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{self, CONTENT_TYPE},
    uri::Scheme,
};
use tokio::sync::Semaphore;
use vestibule_types::{Environment, limits::REMOTE_CALLS_MAX};

use crate::{
    OpenReply, Reply, Transport, TransportError, network::authority::Authority, reply::Deadline,
};

/// Whose address is asked. For each the operator opens networks of its own: who lets other servers be in
/// a private network does not thereby let users name addresses there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebPurpose {
    /// What belongs to servers: identity servers, and files that lie elsewhere.
    Servers,
    /// Push gateways, which users name.
    Gateways,
    /// Pages that users link to.
    Pages,
}

impl WebPurpose {
    fn label(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Gateways => "gateways",
            Self::Pages => "pages",
        }
    }
}

/// A request to something on the web that is no homeserver, ready to be sent.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// The method.
    pub method: Method,
    /// Where to: a whole `https` or `http` address.
    pub url: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// How long everything together may take, waiting for its turn included.
    pub time_max: Duration,
}

/// A JSON text for an address.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where it goes: an absolute `https` or `http` URL.
    pub url: String,
    /// The JSON text.
    pub body: Bytes,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// How long everything together may take.
    pub time_max: Duration,
}

/// Why a letter was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebError {
    /// No URL that can be reached.
    #[error("the URL cannot be reached")]
    BadUrl,
    /// The answer was an error.
    #[error("it answered {0}")]
    Answered(u16),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The way to the web for one purpose. Cloning is cheap.
#[derive(Clone)]
pub struct Web {
    transport: Arc<dyn Transport>,
    environment: Environment,
    purpose: WebPurpose,
    plain: bool,
    turns: Arc<Semaphore>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Web {
    /// The web over what carries requests. With `plain`, `http` is spoken as well as `https`.
    #[must_use]
    pub fn over(
        transport: Arc<dyn Transport>,
        environment: Environment,
        purpose: WebPurpose,
        plain: bool,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(REMOTE_CALLS_MAX));
        Self { transport, environment, purpose, plain, turns }
    }

    /// Whether a text is the URL of something that can be asked: absolute, over TLS unless the
    /// operator said otherwise, without a user in it. Its path is given back.
    #[must_use]
    pub fn path_of(&self, url: &str) -> Option<String> {
        let uri = url.parse::<Uri>().ok()?;
        self.speaks(&uri).then(|| uri.path().to_owned())
    }

    fn speaks(&self, uri: &Uri) -> bool {
        let scheme = uri.scheme();
        let spoken =
            scheme == Some(&Scheme::HTTPS) || (self.plain && scheme == Some(&Scheme::HTTP));
        spoken && uri.authority().and_then(Authority::of_uri).is_some()
    }

    /// Sends a request and reads the answer, whatever its status. A redirect is an answer.
    pub async fn send(&self, request: WebRequest) -> Result<Reply, TransportError> {
        let bytes_max = request.answer_bytes_max;
        self.unbounded(request).await?.whole(bytes_max).await
    }

    /// As [`Web::send`], but of a larger answer the beginning is read. Says whether there was more.
    pub async fn beginning(&self, request: WebRequest) -> Result<(Reply, bool), TransportError> {
        let bytes_max = request.answer_bytes_max;
        self.unbounded(request).await?.beginning(bytes_max).await
    }

    /// As [`Web::send`], with the body still to be read. It fails beyond its bound.
    pub async fn open(&self, request: WebRequest) -> Result<OpenReply, TransportError> {
        let bytes_max = request.answer_bytes_max;
        self.until(request, bytes_max).await
    }

    /// Sends a JSON text and gives back the answer of a success.
    pub async fn post(&self, letter: Letter) -> Result<Bytes, WebError> {
        let url: Uri = letter.url.parse().map_err(|_| WebError::BadUrl)?;
        if !self.speaks(&url) {
            return Err(WebError::BadUrl);
        }
        let json = HeaderValue::from_static("application/json");
        let request = WebRequest {
            method: Method::POST,
            url,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: letter.body,
            answer_bytes_max: letter.answer_bytes_max,
            time_max: letter.time_max,
        };
        let reply = self.send(request).await?;
        if reply.status.is_success() {
            Ok(reply.body)
        } else {
            Err(WebError::Answered(reply.status.as_u16()))
        }
    }

    /// For whoever bounds the body when it is read.
    async fn unbounded(&self, request: WebRequest) -> Result<OpenReply, TransportError> {
        self.until(request, usize::MAX).await
    }

    /// Sends a request when it is its turn. The time limit is kept by this side's clock, whatever
    /// carries the request, and holds for the body, too.
    async fn until(
        &self,
        request: WebRequest,
        bytes_max: usize,
    ) -> Result<OpenReply, TransportError> {
        if !self.speaks(&request.url) {
            return Err(TransportError::Unreachable("not an address on the web".to_owned()));
        }
        let clock = &self.environment.clock;
        let ends = clock.monotonic().saturating_add(request.time_max);
        let late = clock.sleep(request.time_max);
        let sent = async {
            // The semaphore is never closed.
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
            Ok((self.transport.fetch(request, self.purpose).await?, turn))
        };
        let result = tokio::select! {
            biased;
            result = sent => result,
            () = late => Err(TransportError::Unreachable("no answer in time".to_owned())),
        };
        let outcome = if result.is_ok() { "answered" } else { "failed" };
        let labels = [("outcome", outcome), ("purpose", self.purpose.label())];
        metrics::counter!("vestibule_remote_web_requests_total", &labels).increment(1);
        let (reply, turn) = result?;
        let deadline = Deadline::new(self.environment.clone(), ends, turn);
        Ok(reply.bounded(bytes_max, deadline))
    }
}

/// Where an answer leads on to, as it is written there: a redirect is followed only by whoever asks again.
#[must_use]
pub fn redirect(status: http::StatusCode, headers: &HeaderMap) -> Option<&str> {
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    headers.get(header::LOCATION)?.to_str().ok().filter(|_| redirects)
}
