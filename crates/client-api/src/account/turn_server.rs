//! `GET /_matrix/client/v3/voip/turnServer`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver>

use vestibule_http::MatrixError;

/// No relay can be configured; clients take a 404 for that.
pub(crate) async fn handle() -> MatrixError {
    MatrixError::not_found("this server has no TURN server")
}
