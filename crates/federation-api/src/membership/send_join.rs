//! `PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>

use axum::extract::State;
use ruma::api::federation::membership::create_join_event::v2::{Request, Response, RoomState};
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{HandedIn, Rooms, Wanted};

use super::{answer, taken};
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.send_join", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let Request { room_id, event_id, pdu, .. } = request;
    let handed_in = HandedIn { origin, wanted: Wanted::Join, room_id, event_id };
    let join = taken(&federation, &handed_in, &pdu).await?;
    let joined = rooms.joined_state(&join).await.map_err(answer::handshake)?;
    let mut room = RoomState::new();
    room.auth_chain = joined.auth_chain;
    room.state = joined.state;
    room.event = join.to_federation_json().ok();
    room.servers_in_room = Some(joined.servers.iter().map(ToString::to_string).collect());
    Ok(Outgoing(Response::new(room)))
}
