//! `GET /_matrix/client/v3/login/sso/redirect/{idpId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirectidpid>

use vestibule_http::MatrixError;

/// No provider has this name: there are none.
pub(crate) async fn handle() -> MatrixError {
    MatrixError::not_found("this server knows no such identity provider")
}
