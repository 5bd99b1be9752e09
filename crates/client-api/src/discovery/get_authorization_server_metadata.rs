//! `GET /_matrix/client/v1/auth_metadata`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata>

use vestibule_http::MatrixError;

/// Clients take this answer for "log in with a password": there is no `OAuth` 2.0 server.
pub(crate) async fn handle() -> MatrixError {
    MatrixError::unrecognized()
}
