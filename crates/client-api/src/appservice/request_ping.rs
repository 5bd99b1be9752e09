//! `POST /_matrix/client/v1/appservice/{appserviceId}/ping`
//!
//! <https://spec.matrix.org/v1.19/application-service-api/#post_matrixclientv1appserviceappserviceidping>

use vestibule_http::MatrixError;

pub(crate) async fn handle() -> MatrixError {
    super::nobody()
}
