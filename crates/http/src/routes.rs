//! The route table, derived from the specification's own metadata.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use ruma::api::{IncomingRequest, path_builder::PathBuilder};

use crate::{
    caller::{Endpoint, Guard, Login, LoginScheme, Threshold, enter},
    entrance::label,
};

/// One mounted endpoint: the row of the table that golden files guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry<R> {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces as the specification names them.
    pub path: String,
    /// The class the endpoint was given.
    pub rule: R,
    /// Whether it needs a caller.
    pub login: Login,
    /// Whether the specification wants requests to it limited.
    pub limited: bool,
}

/// Collects the endpoints of a surface.
///
/// There is no way to mount one without a rule, and the rule and the caller are checked by the
/// route itself, so a handler cannot be reached past them.
pub struct Routes<S, R> {
    guard: Arc<dyn Guard<R>>,
    mounted: Vec<(RouteEntry<R>, MethodRouter<S>)>,
}

impl<S, R: fmt::Debug> fmt::Debug for Routes<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table: Vec<_> = self.mounted.iter().map(|(entry, _)| entry).collect();
        f.debug_struct("Routes").field("table", &table).finish_non_exhaustive()
    }
}

impl<S, R> Routes<S, R>
where
    S: Clone + Send + Sync + 'static,
    R: Copy + Send + Sync + 'static,
{
    /// No routes yet.
    #[must_use]
    pub fn new(guard: impl Guard<R> + 'static) -> Self {
        Self { guard: Arc::new(guard), mounted: Vec::new() }
    }

    /// Adds `handler` under every path the specification gives `Req`:
    /// `routes.mount::<create_alias::v3::Request, _>(rule, handle)`.
    ///
    /// Handlers never spell a path, so a typo in one is impossible.
    #[must_use]
    pub fn mount<Req, Args>(self, rule: R, handler: impl Handler<Args, S>) -> Self
    where
        Req: IncomingRequest<Authentication: LoginScheme>,
        Args: 'static,
    {
        let login = <Req::Authentication as LoginScheme>::LOGIN;
        self.mount_with_login::<Req, Args>(rule, login, handler)
    }

    /// As [`Routes::mount`], where the specification wants requests limited and the metadata does not
    /// say so.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a handler is a function's name")]
    pub fn mount_limited<Req, Args>(self, rule: R, handler: impl Handler<Args, S>) -> Self
    where
        Req: IncomingRequest<Authentication: LoginScheme>,
        Args: 'static,
    {
        let door = (rule, <Req::Authentication as LoginScheme>::LOGIN, true);
        Req::PATH_BUILDER
            .all_paths()
            .fold(self, |routes, path| routes.mount_one((Req::METHOD, path), door, handler.clone()))
    }

    /// As [`Routes::mount`], where this server asks for more than the specification does.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a handler is a function's name")]
    pub fn mount_with_login<Req, Args>(
        self,
        rule: R,
        login: Login,
        handler: impl Handler<Args, S>,
    ) -> Self
    where
        Req: IncomingRequest,
        Args: 'static,
    {
        let door = (rule, login, Req::RATE_LIMITED);
        Req::PATH_BUILDER
            .all_paths()
            .fold(self, |routes, path| routes.mount_one((Req::METHOD, path), door, handler.clone()))
    }

    /// Adds a path for `Req` that its metadata does not list, such as a variant with a trailing
    /// slash. The parameters must be those of `Req`, in the same order.
    #[must_use]
    pub fn mount_also<Req, Args>(self, path: &str, rule: R, handler: impl Handler<Args, S>) -> Self
    where
        Req: IncomingRequest<Authentication: LoginScheme>,
        Args: 'static,
    {
        let login = <Req::Authentication as LoginScheme>::LOGIN;
        self.mount_one((Req::METHOD, path), (rule, login, Req::RATE_LIMITED), handler)
    }

    /// Adds an endpoint that has no type in the specification.
    #[must_use]
    pub fn mount_at<Args: 'static>(
        self,
        method: Method,
        path: &str,
        (rule, login): (R, Login),
        handler: impl Handler<Args, S>,
    ) -> Self {
        self.mount_one((method, path), (rule, login, false), handler)
    }

    fn mount_one<Args: 'static>(
        mut self,
        (method, path): (Method, &str),
        (rule, login, limited): (R, Login, bool),
        handler: impl Handler<Args, S>,
    ) -> Self {
        let guard = Arc::clone(&self.guard);
        let endpoint = Endpoint::new(path, label(&method));
        let threshold = Threshold { guard, rule, login, limited, endpoint };
        let methods =
            on(filter(&method), handler).route_layer(from_fn_with_state(threshold, enter::<R>));
        let entry = RouteEntry { method, path: path.to_owned(), rule, login, limited };
        self.mounted.push((entry, methods));
        self
    }

    /// Adds everything another collection holds.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.mounted.extend(other.mounted);
        self
    }

    /// Mounts every endpoint whose path begins with one prefix under another one too, unless it is there
    /// already.
    #[must_use]
    pub fn also_under(mut self, from: &str, to: &str) -> Self {
        let place = |entry: &RouteEntry<R>| (positional(&entry.path), entry.method.to_string());
        let known: BTreeSet<_> = self.mounted.iter().map(|(entry, _)| place(entry)).collect();
        let twins = self.mounted.iter().filter_map(|(entry, methods)| {
            let path = format!("{to}{}", entry.path.strip_prefix(from)?);
            Some((RouteEntry { path, ..entry.clone() }, methods.clone()))
        });
        let twins: Vec<_> = twins.filter(|(twin, _)| !known.contains(&place(twin))).collect();
        self.mounted.extend(twins);
        self
    }

    /// What was mounted, sorted by path and method.
    #[must_use]
    pub fn table(&self) -> Vec<RouteEntry<R>> {
        let mut table: Vec<_> = self.mounted.iter().map(|(entry, _)| entry.clone()).collect();
        table.sort_by(|a, b| (&a.path, a.method.as_str()).cmp(&(&b.path, b.method.as_str())));
        table
    }

    /// The router. [`crate::entrance`] adds what is common to all surfaces of a listener.
    pub fn into_router(self, state: S) -> Router {
        let mut by_path: BTreeMap<String, MethodRouter<S>> = BTreeMap::new();
        for (entry, methods) in self.mounted {
            let path = positional(&entry.path);
            let merged = by_path.remove(&path).unwrap_or_default().merge(methods);
            by_path.insert(path, merged);
        }
        let router = Router::new();
        by_path
            .into_iter()
            .fold(router, |router, (path, methods)| router.route(&path, methods))
            .with_state(state)
    }
}

/// Every method of the specification is one axum can route; an odd one is never reached.
fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE)
}

/// Names path parameters by their position: two endpoints on one path may name them differently.
fn positional(path: &str) -> String {
    let mut number = 0;
    let mut segments = Vec::new();
    for segment in path.split('/') {
        if segment.starts_with('{') && segment.ends_with('}') {
            segments.push(format!("{{p{number}}}"));
            number += 1;
        } else {
            segments.push(segment.to_owned());
        }
    }
    segments.join("/")
}
