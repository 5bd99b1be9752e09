//! `PUT /_matrix/client/v3/presence/{userId}/status`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus>

use axum::extract::State;
use ruma::{OwnedUserId, api::client::presence::set_presence::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Availability, Rooms, SetPresence};

use super::presence_answer;
use crate::extract::PathArgs;

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    presence: Availability,
    status_msg: Option<String>,
}

#[instrument(name = "client_api.presence.set_presence", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((user_id,)): PathArgs<(OwnedUserId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = SetPresence { user_id, state: body.presence, status: body.status_msg };
    rooms.set_presence(&actor, command).await.map_err(presence_answer)?;
    Ok(Outgoing(Response::new()))
}
