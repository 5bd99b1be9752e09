//! `POST /_matrix/client/v3/account/password/msisdn/requestToken`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpasswordmsisdnrequesttoken>

use vestibule_http::MatrixError;

/// This server sends no text messages.
pub(crate) async fn handle() -> MatrixError {
    super::validation::denied()
}
