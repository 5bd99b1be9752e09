//! `GET /_matrix/client/v3/devices/{deviceId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid>

use axum::extract::State;
use ruma::api::client::device::get_device::v3::Request;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};

use super::{Shown, shown};
use crate::failure;

#[instrument(name = "client_api.device.get_device", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Shown>, MatrixError> {
    let device = accounts.device(actor.user_id(), &request.device_id).await;
    let device = device.map_err(failure::storage)?;
    let device = device.ok_or_else(|| MatrixError::not_found("you have no such device"))?;
    Ok(OutgoingJson(shown(device)))
}
