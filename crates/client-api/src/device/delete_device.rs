//! `DELETE /_matrix/client/v3/devices/{deviceId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3devicesdeviceid>

use axum::extract::State;
use ruma::{OwnedDeviceId, api::client::device::delete_device::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, DeleteDevices, DeleteDevicesError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use crate::{
    extract::PathArgs,
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Auth>,
}

#[instrument(name = "client_api.device.delete_device", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((device_id,)): PathArgs<(OwnedDeviceId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let attempt = uiaa::attempt(body.auth)?;
    let command = DeleteDevices { device_ids: vec![device_id], attempt, peer };
    accounts.delete_devices(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

pub(super) fn answer(error: DeleteDevicesError) -> MatrixError {
    let message = error.to_string();
    match error {
        DeleteDevicesError::TooMany => MatrixError::invalid_param(message),
        DeleteDevicesError::Uia(error) => uiaa::answer(error),
        DeleteDevicesError::Storage(cause) => failure::storage(cause),
    }
}
