//! `GET /db/check`

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson};

use crate::{AdminServices, DatabaseAnswer, reload::answer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<DatabaseAnswer>, MatrixError> {
    let found = services.maintenance.check_database().await;
    found.map(OutgoingJson).map_err(|error| answer(&error))
}
