//! `GET /_matrix/client/v3/thirdparty/user/{protocol}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuserprotocol>

use vestibule_http::MatrixError;

pub(crate) async fn handle() -> MatrixError {
    super::unknown_protocol()
}
