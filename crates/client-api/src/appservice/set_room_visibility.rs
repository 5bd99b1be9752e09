//! `PUT /_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/application-service-api/#put_matrixclientv3directorylistappservicenetworkidroomid>

use vestibule_http::MatrixError;

pub(crate) async fn handle() -> MatrixError {
    super::nobody()
}
