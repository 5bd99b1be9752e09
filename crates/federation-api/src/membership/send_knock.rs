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

use super::{answer, taken};
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.send_knock", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let Request { room_id, event_id, pdu, .. } = request;
    let handed_in = HandedIn { origin, wanted: Wanted::Knock, room_id, event_id };
    let knock = taken(&federation, &handed_in, &pdu).await?;
    let state = rooms.state_from_outside(knock.room_id()).await.map_err(answer::handshake)?;
    Ok(Outgoing(Response::new(state.into_iter().map(RawStrippedState::Pdu).collect())))
}
