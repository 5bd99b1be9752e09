//! `POST /_matrix/policy/v1/sign`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign>
//!
//! A server that is no policy server answers that it does not know the endpoint.

use vestibule_http::MatrixError;

use crate::guard::Origin;

pub(crate) async fn handle(_: Origin) -> MatrixError {
    MatrixError::unrecognized()
}
