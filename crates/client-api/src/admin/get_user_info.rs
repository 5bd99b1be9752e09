//! `GET /_matrix/client/v3/admin/whois/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid>

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::{OwnedDeviceId, OwnedUserId, api::client::admin::get_user_info::v3::Request};
use serde::Serialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, DeviceTrace, WhoisError};
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};

use crate::failure;

/// The answer. What is not known is left out: it may be missing, but not null.
#[derive(Debug, Serialize)]
pub(crate) struct Whois {
    user_id: OwnedUserId,
    devices: BTreeMap<OwnedDeviceId, Device>,
}

#[derive(Debug, Serialize)]
struct Device {
    sessions: [Session; 1],
}

#[derive(Debug, Serialize)]
struct Session {
    connections: Vec<Connection>,
}

#[derive(Debug, Serialize)]
struct Connection {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    last_seen: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

#[instrument(name = "client_api.admin.get_user_info", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Whois>, MatrixError> {
    let traces = accounts.whois(&actor, &request.user_id).await.map_err(answer)?;
    let devices = traces.into_iter().map(shown).collect();
    Ok(OutgoingJson(Whois { user_id: request.user_id, devices }))
}

/// A device has one session here, and its newest connection is kept.
fn shown(trace: DeviceTrace) -> (OwnedDeviceId, Device) {
    let DeviceTrace { device_id, address: ip, at, user_agent } = trace;
    let connection = at.map(|last_seen| Connection { ip, last_seen, user_agent });
    (device_id, Device { sessions: [Session { connections: connection.into_iter().collect() }] })
}

fn answer(error: WhoisError) -> MatrixError {
    let message = error.to_string();
    match error {
        WhoisError::Denied(denial) => denial.into(),
        WhoisError::UnknownUser => MatrixError::not_found(message),
        WhoisError::Storage(cause) => failure::storage(cause),
    }
}
