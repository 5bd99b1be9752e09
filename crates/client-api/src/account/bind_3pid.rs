//! `POST /_matrix/client/v3/account/3pid/bind`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidbind>

use http::StatusCode;
use ruma::api::{client::account::bind_3pid::v3::Request, error::ErrorKind};
use vestibule_http::{Incoming, MatrixError};

/// No identity server is trusted with the addresses of accounts.
pub(crate) async fn handle(Incoming(_): Incoming<Request>) -> MatrixError {
    let message = "this server binds nothing to identity servers";
    MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::ServerNotTrusted, message)
}
