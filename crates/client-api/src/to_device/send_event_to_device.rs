//! `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::api::client::to_device::send_event_to_device::v3::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_events::canonical_content;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Rooms, SendToDevice, SendToDeviceError};

use crate::{by_user::ByUser, extract::PathArgs, failure};

/// The messages by user and device.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    messages: ByUser<BTreeMap<String, Box<RawValue>>>,
}

#[instrument(name = "client_api.to_device.send_event_to_device", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((event_type, transaction_id)): PathArgs<(String, String)>,
    IncomingJson(Body { messages: ByUser(messages) }): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    for content in messages.values().flat_map(BTreeMap::values) {
        canonical_content(content).map_err(|error| MatrixError::bad_json(error.to_string()))?;
    }
    let command = SendToDevice { event_type, transaction_id, messages };
    rooms.send_to_device(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: SendToDeviceError) -> MatrixError {
    let message = error.to_string();
    match error {
        SendToDeviceError::TooMany | SendToDeviceError::TooLarge => MatrixError::too_large(message),
        SendToDeviceError::Limited(denial) => denial.into(),
        SendToDeviceError::Storage(cause) => failure::storage(cause),
    }
}
