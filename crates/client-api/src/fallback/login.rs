//! `GET /_matrix/static/client/login/`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#login-fallback>

use axum::response::Response;
use http::StatusCode;

use crate::page;

const FORM: &str = "<form id=\"login\" hidden>\
     <label>User name<br><input name=\"user\" autocomplete=\"username\" required></label>\
     <label>Password<br><input name=\"password\" type=\"password\" \
     autocomplete=\"current-password\" required></label>\
     <button>Log in</button></form><p id=\"message\"></p><script src=\"login.js\"></script>";

/// The page, which does the whole login.
pub(super) async fn page() -> Response {
    page::shown(StatusCode::OK, "Log in", FORM)
}

/// Its script.
pub(super) async fn script() -> Response {
    page::script(include_str!("login.js"))
}
