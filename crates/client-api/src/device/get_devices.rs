//! `GET /_matrix/client/v3/devices`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>

use axum::extract::State;
use ruma::api::client::device::get_devices::v3::Response;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, Outgoing};

use super::shown;
use crate::failure;

#[instrument(name = "client_api.device.get_devices", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<Outgoing<Response>, MatrixError> {
    let devices = accounts.devices(actor.user_id()).await.map_err(failure::storage)?;
    Ok(Outgoing(Response::new(devices.into_iter().map(shown).collect())))
}
