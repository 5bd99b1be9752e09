//! `POST /_matrix/client/v3/account/3pid`, which is deprecated
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pid>

use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde::Deserialize;
use vestibule_http::{IncomingJson, MatrixError};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "three_pid_creds")]
    _credentials: serde::de::IgnoredAny,
}

/// The credentials are an identity server's, and none is asked.
pub(crate) async fn handle(IncomingJson(_): IncomingJson<Body>) -> MatrixError {
    let message =
        "the credentials cannot be checked: this server binds nothing to identity servers";
    MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidAuthFailed, message)
}
