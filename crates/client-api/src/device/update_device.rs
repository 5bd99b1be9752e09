//! `PUT /_matrix/client/v3/devices/{deviceId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid>

use axum::extract::State;
use ruma::api::client::device::update_device::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, UpdateDeviceError};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.device.update_device", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let name = request.display_name;
    accounts.update_device(&actor, &request.device_id, name).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: UpdateDeviceError) -> MatrixError {
    let message = error.to_string();
    match error {
        UpdateDeviceError::Unknown => MatrixError::not_found(message),
        UpdateDeviceError::NameTooLong => MatrixError::invalid_param(message),
        UpdateDeviceError::Storage(cause) => failure::storage(cause),
    }
}
