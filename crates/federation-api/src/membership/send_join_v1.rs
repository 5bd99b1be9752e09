//! `PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.17/server-server-api/#put_matrixfederationv1send_joinroomideventid>
//!
//! As version 2, in a list behind its status. The specification has it no more; old servers ask for it.

use axum::extract::State;
use ruma::api::federation::membership::create_join_event::v2::Request;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;

use super::send_join::{self, Answer};
use crate::guard::Origin;

pub(crate) async fn handle(
    federation: State<Federation>,
    rooms: State<Rooms>,
    origin: Origin,
    request: Incoming<Request>,
) -> Result<OutgoingJson<(u16, Answer)>, MatrixError> {
    let OutgoingJson(answer) = send_join::handle(federation, rooms, origin, request).await?;
    Ok(OutgoingJson((200, answer)))
}
