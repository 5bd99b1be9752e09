//! Pages for clients that do not know a login type, or no login type at all.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#fallback>

mod auth;
mod login;

use http::Method;
use vestibule_http::Login;
use vestibule_policy::EndpointRule;

use crate::ClientRoutes;

/// Where the page of a stage is, in the versions of the API that clients of today use.
const AUTH: [&str; 2] = [
    "/_matrix/client/r0/auth/{auth_type}/fallback/web",
    "/_matrix/client/v3/auth/{auth_type}/fallback/web",
];

const LOGIN: &str = "/_matrix/static/client/login/";
const LOGIN_SCRIPT: &str = "/_matrix/static/client/login/login.js";
const AUTH_DONE_SCRIPT: &str = "/_matrix/static/client/auth_done.js";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let open = (EndpointRule::Anonymous, Login::Ignored);
    let routes = routes
        .mount_at(Method::GET, LOGIN, open, login::page)
        .mount_at(Method::GET, LOGIN_SCRIPT, open, login::script)
        .mount_at(Method::GET, AUTH_DONE_SCRIPT, open, auth::done_script);
    AUTH.iter().fold(routes, |routes, path| {
        routes.mount_at(Method::GET, path, open, auth::page).mount_at(
            Method::POST,
            path,
            open,
            auth::handle,
        )
    })
}
