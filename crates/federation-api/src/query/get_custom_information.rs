//! `GET /_matrix/federation/v1/query/{queryType}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryquerytype>
//!
//! The types of query that are known have endpoints of their own; every other is an endpoint that does
//! not exist.

use tracing::debug;
use vestibule_http::MatrixError;

use crate::guard::Origin;

pub(crate) async fn handle(Origin(origin): Origin) -> MatrixError {
    debug!(%origin, "a query of an unknown type");
    MatrixError::unrecognized()
}
