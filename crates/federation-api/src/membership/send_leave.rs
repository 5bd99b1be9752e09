//! `PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_leaveroomideventid>

use axum::extract::State;
use ruma::api::federation::membership::create_leave_event::v2::{Request, Response};
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{HandedIn, Wanted};

use super::taken;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.send_leave", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let Request { room_id, event_id, pdu, .. } = request;
    let handed_in = HandedIn { origin, wanted: Wanted::Leave, room_id, event_id };
    taken(&federation, &handed_in, &pdu).await?;
    Ok(Outgoing(Response::new()))
}
