//! `POST /_matrix/client/v3/account/3pid/msisdn/requestToken`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidmsisdnrequesttoken>

use vestibule_http::MatrixError;

/// This server sends no text messages.
pub(crate) async fn handle() -> MatrixError {
    super::validation::unsupported_medium()
}
