//! Who is asking, and whether they may ask this at all.
//!
//! Both questions are answered by the mounted route before the handler runs and before the body
//! is read: an endpoint cannot forget them.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, Uri, header, request::Parts};
use metrics::Histogram;
use ruma::api::{auth_scheme, federation::authentication::ServerSignatures};
use tracing::{Span, field};
use vestibule_types::{Actor, BoxFuture};

use crate::{ClientAddress, MatrixError, entrance::label};

/// What a client showed to prove who it is.
#[derive(Clone, Copy)]
pub struct Presented<'a, R> {
    /// The access token.
    pub token: &'a str,
    /// The endpoint it is shown to; a locked account may still reach a few.
    pub rule: R,
    /// The address the request came from.
    pub address: IpAddr,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
}

impl<R: fmt::Debug> fmt::Debug for Presented<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// Whom an authenticator recognised.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// Who it is.
    pub actor: Actor,
    /// What their requests are answered inside of, where that is anything.
    pub escort: Option<Escort>,
}

impl From<Actor> for Recognised {
    fn from(actor: Actor) -> Self {
        Self { actor, escort: None }
    }
}

/// What answering a request runs inside of.
#[derive(Clone)]
pub struct Escort(Arc<dyn Fn(Answering) -> Answering + Send + Sync>);

/// A handler at work.
type Answering = BoxFuture<'static, Response>;

impl Escort {
    /// Goes with the work, and may answer in its place.
    pub fn new(with: impl Fn(Answering) -> Answering + Send + Sync + 'static) -> Self {
        Self(Arc::new(with))
    }
}

impl fmt::Debug for Escort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Escort(..)")
    }
}

/// How tokens are looked up. It is implemented over the account service, so that this crate
/// knows no service and no service knows HTTP.
pub trait Authenticator<R>: Send + Sync {
    /// Finds whose token this is. `Ok(None)` means nobody's.
    fn authenticate<'a>(
        &'a self,
        presented: Presented<'a, R>,
    ) -> BoxFuture<'a, Result<Option<Recognised>, MatrixError>>;
}

/// Somebody at the door of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a, R> {
    /// Who is asking; nobody on endpoints that need no login.
    pub caller: Option<&'a Actor>,
    /// The class of the endpoint.
    pub rule: R,
    /// The address the request came from.
    pub address: IpAddr,
    /// Whether the specification wants requests to this endpoint limited.
    pub limited: bool,
    /// The endpoint, as it was mounted.
    pub endpoint: &'a str,
    /// The method of the request.
    pub method: &'a Method,
}

/// Whether this class of caller may reach this class of endpoint. Implemented over the policy.
pub trait Gate<R>: Send + Sync {
    /// Lets the visit pass or says why not.
    fn admit(&self, visit: &Visit<'_, R>) -> Result<(), MatrixError>;
}

/// What stands before every mounted endpoint: it lets a request through, with what it learned of its
/// sender among the extensions, or answers in the endpoint's place.
pub trait Guard<R>: Send + Sync {
    /// Judges one request to an endpoint with this rule.
    fn welcome(
        &self,
        rule: R,
        login: Login,
        request: Request,
    ) -> BoxFuture<'_, Result<Request, MatrixError>>;
}

/// What stands before the endpoints of clients.
pub struct Doorway<R> {
    /// Whose token is it?
    pub authenticator: Arc<dyn Authenticator<R>>,
    /// May they come in?
    pub gate: Arc<dyn Gate<R>>,
}

impl<R> Clone for Doorway<R> {
    fn clone(&self) -> Self {
        Self { authenticator: Arc::clone(&self.authenticator), gate: Arc::clone(&self.gate) }
    }
}

impl<R> fmt::Debug for Doorway<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorway").finish_non_exhaustive()
    }
}

/// Whether an endpoint needs a caller: a user, or on the server-server API a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// No token, no answer.
    Required,
    /// A token may be left out, but a wrong one is refused.
    Optional,
    /// A token is looked at when it is good, so that the caller's class still counts, and
    /// ignored otherwise.
    Ignored,
}

/// The authentication schemes of endpoints, as a value.
pub trait LoginScheme {
    /// What the scheme asks of a request.
    const LOGIN: Login;
}

impl LoginScheme for auth_scheme::AccessToken {
    const LOGIN: Login = Login::Required;
}
impl LoginScheme for auth_scheme::AccessTokenOptional {
    const LOGIN: Login = Login::Optional;
}
impl LoginScheme for auth_scheme::AppserviceToken {
    const LOGIN: Login = Login::Required;
}
impl LoginScheme for auth_scheme::AppserviceTokenOptional {
    const LOGIN: Login = Login::Ignored;
}
impl LoginScheme for auth_scheme::NoAccessToken {
    const LOGIN: Login = Login::Ignored;
}
impl LoginScheme for auth_scheme::NoAuthentication {
    const LOGIN: Login = Login::Ignored;
}
impl LoginScheme for ServerSignatures {
    const LOGIN: Login = Login::Required;
}

/// The authenticated caller. A handler that takes one cannot run without it.
#[derive(Clone, Debug)]
pub struct Caller(pub Actor);

/// The caller, if there is one.
#[derive(Clone, Debug)]
pub struct MaybeCaller(pub Option<Actor>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MatrixError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(MatrixError::missing_token)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = MatrixError;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, MatrixError> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MatrixError> {
        Ok(Self(parts.extensions.get::<Caller>().map(|caller| caller.0.clone())))
    }
}

/// What one mounted endpoint asks of its visitors.
pub(crate) struct Threshold<R> {
    pub(crate) guard: Arc<dyn Guard<R>>,
    pub(crate) rule: R,
    pub(crate) login: Login,
    pub(crate) limited: bool,
    pub(crate) endpoint: Endpoint,
}

impl<R: Clone> Clone for Threshold<R> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            rule: self.rule.clone(),
            login: self.login,
            limited: self.limited,
            endpoint: self.endpoint.clone(),
        }
    }
}

/// Put into requests to endpoints that the specification wants limited.
#[derive(Clone, Copy, Debug)]
struct Limited;

/// Put into every request on its way to the guard: where it goes.
#[derive(Clone)]
struct Towards(Endpoint);

/// A mounted endpoint, for logs and metrics. Answers carry it out.
#[derive(Clone)]
pub(crate) struct Endpoint(Arc<Mounted>);

struct Mounted {
    path: Box<str>,
    method: &'static str,
    /// How long its requests take, looked up with the first of them.
    seconds: OnceLock<Histogram>,
    /// The same of requests for the head alone, which reach it where it answers GET.
    seconds_of_heads: OnceLock<Histogram>,
}

impl Endpoint {
    pub(crate) fn new(path: &str, method: &'static str) -> Self {
        let (seconds, seconds_of_heads) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Mounted { path: path.into(), method, seconds, seconds_of_heads }))
    }

    /// How long its requests take, of which this one has the given method.
    pub(crate) fn seconds(&self, method: &str) -> &Histogram {
        let Mounted { path, method: mounted, seconds, seconds_of_heads } = &*self.0;
        let head = label(&Method::HEAD);
        if method == head {
            seconds_of_heads.get_or_init(|| request_seconds(path, head))
        } else {
            seconds.get_or_init(|| request_seconds(path, mounted))
        }
    }
}

/// How long requests to an endpoint take.
pub(crate) fn request_seconds(endpoint: &str, method: &'static str) -> Histogram {
    let labels = [("endpoint", endpoint.to_owned()), ("method", method.to_owned())];
    metrics::histogram!("vestibule_http_request_seconds", &labels)
}

/// Asks the guard, then lets the request through to its handler.
pub(crate) async fn enter<R>(
    State(threshold): State<Threshold<R>>,
    mut request: Request,
    next: Next,
) -> Response
where
    R: Copy + Send + Sync + 'static,
{
    Span::current().record("endpoint", field::display(&threshold.endpoint.0.path));
    if threshold.limited {
        request.extensions_mut().insert(Limited);
    }
    request.extensions_mut().insert(Towards(threshold.endpoint.clone()));
    let mut response = match threshold.guard.welcome(threshold.rule, threshold.login, request).await
    {
        Ok(mut request) => match request.extensions_mut().remove::<Escort>() {
            Some(Escort(with)) => with(Box::pin(next.run(request))).await,
            None => next.run(request).await,
        },
        Err(error) => error.into_response(),
    };
    response.extensions_mut().insert(threshold.endpoint);
    response
}

impl<R: Copy + Send + Sync + 'static> Guard<R> for Doorway<R> {
    fn welcome(
        &self,
        rule: R,
        login: Login,
        mut request: Request,
    ) -> BoxFuture<'_, Result<Request, MatrixError>> {
        // Boxed apart, so that it takes no room while the handler waits.
        Box::pin(async move {
            let address = ClientAddress::of(request.headers(), request.extensions()).0;
            let token = token(request.headers(), request.uri());
            let headers = request.headers();
            let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
            let caller = self.identify((rule, login), token, address, user_agent).await?;
            let limited = request.extensions().get::<Limited>().is_some();
            let towards = request.extensions().get::<Towards>();
            let endpoint = towards.map_or("", |Towards(endpoint)| &*endpoint.0.path);
            let method = request.method();
            let actor = caller.as_ref().map(|caller| &caller.actor);
            let visit = Visit { caller: actor, rule, address, limited, endpoint, method };
            self.gate.admit(&visit)?;
            if let Some(Recognised { actor, escort }) = caller {
                if let Some(escort) = escort {
                    request.extensions_mut().insert(escort);
                }
                request.extensions_mut().insert(Caller(actor));
            }
            Ok(request)
        })
    }
}

impl<R: Copy> Doorway<R> {
    async fn identify(
        &self,
        (rule, login): (R, Login),
        token: Result<Option<String>, MatrixError>,
        address: IpAddr,
        user_agent: Option<&str>,
    ) -> Result<Option<Recognised>, MatrixError> {
        let token = match (token, login) {
            (Ok(Some(token)), _) => token,
            (Ok(None), Login::Required) => return Err(MatrixError::missing_token()),
            (Ok(None), Login::Optional | Login::Ignored) | (Err(_), Login::Ignored) => {
                return Ok(None);
            }
            (Err(error), _) => return Err(error),
        };
        let presented = Presented { token: &token, rule, address, user_agent };
        match (self.authenticator.authenticate(presented).await, login) {
            (Ok(Some(caller)), _) => Ok(Some(caller)),
            (Ok(None), Login::Ignored) => Ok(None),
            (Err(error), Login::Ignored) if error.status().is_client_error() => Ok(None),
            (Ok(None), _) => Err(MatrixError::unknown_token(false)),
            (Err(error), _) => Err(error),
        }
    }
}

/// The bearer token of the `Authorization` header, or of the query, which old clients use.
fn token(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, MatrixError> {
    let mut probe = http::Request::new(());
    *probe.uri_mut() = uri.clone();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        probe.headers_mut().insert(header::AUTHORIZATION, value.clone());
    }
    let token = auth_scheme::extract_bearer_or_query_token(&probe)
        .map_err(|_| MatrixError::missing_token())?;
    Ok(token.filter(|token| !token.is_empty()))
}
