//! `GET /_matrix/client/v3/devices`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>

use axum::extract::State;
use serde::Serialize;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use super::{Shown, shown};
use crate::failure;

#[derive(Debug, Serialize)]
pub(crate) struct Devices {
    devices: Vec<Shown>,
}

#[instrument(name = "client_api.device.get_devices", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Devices>, MatrixError> {
    let devices = accounts.devices(actor.user_id()).await.map_err(failure::storage)?;
    Ok(OutgoingJson(Devices { devices: devices.into_iter().map(shown).collect() }))
}
