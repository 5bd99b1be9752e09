//! `GET /_matrix/client/v3/login/sso/redirect`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect>

use vestibule_http::MatrixError;

/// `GET /login` offers no `m.login.sso`, so nobody is sent here.
pub(crate) async fn handle() -> MatrixError {
    MatrixError::not_found("this server has no single sign-on")
}
