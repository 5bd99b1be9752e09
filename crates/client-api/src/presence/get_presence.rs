//! `GET /_matrix/client/v3/presence/{userId}/status`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus>

use axum::extract::State;
use ruma::OwnedUserId;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_rooms::{Availability, Rooms};

use super::presence_answer;
use crate::extract::PathArgs;

/// What is told of somebody.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    presence: Availability,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    currently_active: bool,
}

#[instrument(name = "client_api.presence.get_presence", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((user_id,)): PathArgs<(OwnedUserId,)>,
) -> Result<OutgoingJson<Told>, MatrixError> {
    let found = rooms.presence_of(&actor, &user_id).await.map_err(presence_answer)?;
    Ok(OutgoingJson(Told {
        presence: found.state,
        last_active_ago: found.active_ago_ms(rooms.presence_moment()),
        status_msg: found.status,
        currently_active: found.currently_active,
    }))
}
