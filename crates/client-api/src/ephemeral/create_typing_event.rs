//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid>

use std::time::Duration;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, api::client::typing::create_typing_event::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Rooms, SetTyping};

use super::notice_answer;
use crate::extract::PathArgs;

/// How long a notice holds whose client does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    typing: bool,
    timeout: Option<u64>,
}

#[instrument(name = "client_api.ephemeral.create_typing_event", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id, user_id)): PathArgs<(OwnedRoomId, OwnedUserId)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    if actor.user_id() != user_id {
        return Err(MatrixError::forbidden("nobody types for somebody else"));
    }
    let timeout = body.timeout.map_or(TIMEOUT, Duration::from_millis);
    let command = SetTyping { room_id, timeout: body.typing.then_some(timeout) };
    rooms.set_typing(&actor, command).await.map_err(notice_answer)?;
    Ok(Outgoing(Response::new()))
}
