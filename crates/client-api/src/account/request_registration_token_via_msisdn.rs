//! `POST /_matrix/client/v3/register/msisdn/requestToken`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registermsisdnrequesttoken>

use vestibule_http::MatrixError;

/// This server sends no text messages.
pub(crate) async fn handle() -> MatrixError {
    super::validation::denied()
}
