//! What every request passes on its way in and out, whatever it asks for: one spelling per path,
//! CORS, a span, metrics, and a JSON answer even when a handler panics.

use std::{
    convert::Infallible,
    fmt,
    future::ready,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use metrics::Counter;
use ruma::api::error::ErrorKind;
use tower::Service;
use tower_http::compression::{
    CompressionLayer, CompressionLevel,
    predicate::{NotForContentType, Predicate, SizeAbove},
};
use tracing::{Instrument, Span, debug, error, field, info_span};
use vestibule_types::{BoxFuture, Clock, limits::COMPRESS_BYTES_MIN};

use crate::{
    MatrixError,
    caller::{Endpoint, request_seconds},
    path,
};

/// The headers of the specification's "Web Browser Clients" section.
const CORS: [(HeaderName, HeaderValue); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization, Range"),
    ),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After")),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
];

/// A router with everything around it that all surfaces share. Cloning is cheap.
#[derive(Clone)]
pub struct Entrance {
    router: Router,
    ledger: Arc<Ledger>,
}

/// What is noted of requests.
struct Ledger {
    clock: Arc<dyn Clock>,
    /// How many came in.
    requests: AtomicU64,
    /// Answers by the first digit of their status; each counter is looked up with the first of its kind.
    answered: [OnceLock<Counter>; 6],
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").finish_non_exhaustive()
    }
}

impl Entrance {
    /// Closes the router: what it does not know is answered with `M_UNRECOGNIZED`.
    #[must_use]
    pub fn new(router: Router, clock: Arc<dyn Clock>) -> Self {
        let worth_it = SizeAbove::new(COMPRESS_BYTES_MIN)
            .and(NotForContentType::IMAGES)
            .and(NotForContentType::const_new("application/octet-stream"));
        let compression =
            CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it);
        let router = router
            .fallback(|| ready(MatrixError::unrecognized()))
            .method_not_allowed_fallback(|| ready(MatrixError::method_not_allowed()))
            .layer(compression);
        let ledger = Ledger { clock, requests: AtomicU64::new(0), answered: Default::default() };
        Self { router, ledger: Arc::new(ledger) }
    }

    /// Answers one request. There is always an answer.
    ///
    /// Not an `async fn`: what is done before the first wait takes no room while waiting.
    pub fn answer(&self, mut request: Request) -> impl Future<Output = Response> + Send + use<> {
        // The path is left out: it names users and rooms.
        let span = info_span!(
            "http.request",
            method = %request.method(),
            request = self.ledger.requests.fetch_add(1, Ordering::Relaxed),
            endpoint = field::Empty,
            status = field::Empty,
        );
        let method = label(request.method());
        let ledger = Arc::clone(&self.ledger);
        let started = ledger.clock.monotonic();
        if let Some(written) = path::normalise(request.uri_mut()) {
            request.extensions_mut().insert(written);
        }
        let routed = (request.method() != Method::OPTIONS).then(|| {
            let routed = self.router.clone().call(request);
            AssertUnwindSafe(routed).catch_unwind().instrument(span.clone())
        });
        async move {
            let Some(routed) = routed else {
                return with_cors(StatusCode::NO_CONTENT.into_response());
            };
            let mut response = match routed.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(panic) => span.in_scope(|| broken(&*panic)),
            };
            ledger.note(&span, method, &mut response, started);
            with_cors(response)
        }
    }
}

impl Ledger {
    fn note(&self, span: &Span, method: &'static str, response: &mut Response, started: Duration) {
        let took = self.clock.monotonic().saturating_sub(started);
        let status = response.status();
        span.record("status", status.as_u16());
        span.in_scope(|| debug!(milliseconds = took.as_secs_f64() * 1000.0, "answered"));
        match response.extensions_mut().remove::<Endpoint>() {
            Some(endpoint) => endpoint.seconds(method).record(took),
            None => request_seconds("none", method).record(took),
        }
        self.count(status);
    }

    fn count(&self, status: StatusCode) {
        const KINDS: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let kind = usize::from(status.as_u16() / 100);
        if let (Some(counter), Some(label)) = (self.answered.get(kind), KINDS.get(kind)) {
            let look_up = || metrics::counter!("vestibule_http_requests_total", "status" => *label);
            counter.get_or_init(look_up).increment(1);
        }
    }
}

impl Service<Request> for Entrance {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answered = self.answer(request);
        Box::pin(async move { Ok(answered.await) })
    }
}

/// Method names as metric labels: a bounded set, whatever a client invents.
pub(crate) fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

fn with_cors(mut response: Response<Body>) -> Response<Body> {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.extend(CORS);
    response
}

fn broken(panic: &(dyn std::any::Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    error!(message, "a handler panicked");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    MatrixError::new(status, ErrorKind::Unknown, "internal server error").into_response()
}
