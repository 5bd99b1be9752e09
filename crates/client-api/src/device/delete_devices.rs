//! `POST /_matrix/client/v3/delete_devices`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices>

use axum::extract::State;
use ruma::{OwnedDeviceId, api::client::device::delete_devices::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, DeleteDevices};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::delete_device::answer;
use crate::uiaa::{self, Auth};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    devices: Vec<OwnedDeviceId>,
    auth: Option<Auth>,
}

#[instrument(name = "client_api.device.delete_devices", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let attempt = uiaa::attempt(body.auth)?;
    let command = DeleteDevices { device_ids: body.devices, attempt, peer };
    accounts.delete_devices(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}
