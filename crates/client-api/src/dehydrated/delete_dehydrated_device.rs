//! `DELETE /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device` (MSC3814)

use axum::extract::State;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_keys::Keys;

use super::{Named, device_answer};

#[instrument(name = "client_api.dehydrated.delete_dehydrated_device", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Named>, MatrixError> {
    let device_id = keys.delete_dehydrated_device(&actor).await.map_err(device_answer)?;
    Ok(OutgoingJson(Named { device_id }))
}
