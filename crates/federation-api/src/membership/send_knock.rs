//! `PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid>

use axum::extract::State;
use ruma::api::federation::membership::{
    RawStrippedState,
    create_knock_event::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{HandedIn, Rooms, Wanted};

use super::answer;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.send_knock", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let handed_in = HandedIn {
        origin,
        wanted: Wanted::Knock,
        room_id: request.room_id,
        event_id: request.event_id,
    };
    let knock = federation.take_membership(&handed_in, &request.pdu).await;
    let knock = knock.map_err(answer::hand_in)?;
    let state = rooms.state_from_outside(knock.room_id()).await.map_err(answer::handshake)?;
    Ok(Outgoing(Response::new(state.into_iter().map(RawStrippedState::Pdu).collect())))
}
