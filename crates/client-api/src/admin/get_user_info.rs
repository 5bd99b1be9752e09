//! `GET /_matrix/client/v3/admin/whois/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid>

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::admin::get_user_info::v3::{
        ConnectionInfo, DeviceInfo, Request, Response, SessionInfo,
    },
};
use tracing::instrument;
use vestibule_accounts::{Accounts, DeviceTrace, WhoisError};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.admin.get_user_info", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let traces = accounts.whois(&actor, &request.user_id).await.map_err(answer)?;
    let mut response = Response::new();
    response.user_id = Some(request.user_id);
    response.devices = traces.into_iter().map(shown).collect();
    Ok(Outgoing(response))
}

/// A device has one session here, and its newest connection is kept.
fn shown(trace: DeviceTrace) -> (String, DeviceInfo) {
    let mut connection = ConnectionInfo::new();
    connection.ip = trace.address;
    connection.last_seen = trace.at.and_then(UInt::new).map(MilliSecondsSinceUnixEpoch);
    connection.user_agent = trace.user_agent;
    let mut session = SessionInfo::new();
    session.connections = trace.at.is_some().then_some(connection).into_iter().collect();
    let mut device = DeviceInfo::new();
    device.sessions = vec![session];
    (trace.device_id.to_string(), device)
}

fn answer(error: WhoisError) -> MatrixError {
    let message = error.to_string();
    match error {
        WhoisError::Denied(denial) => denial.into(),
        WhoisError::UnknownUser => MatrixError::not_found(message),
        WhoisError::Storage(cause) => failure::storage(cause),
    }
}
