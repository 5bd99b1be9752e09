//! `PUT /_matrix/federation/v2/invite/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid>

use axum::extract::State;
use ruma::api::federation::membership::create_invite::v2::{Request, Response};
use tracing::instrument;
use vestibule_federation::{BroughtInvite, Federation, as_sent};
use vestibule_http::{Incoming, MatrixError, Outgoing};

use super::answer;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.invite_v2", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let invite = BroughtInvite {
        origin,
        room_id: request.room_id,
        event_id: request.event_id,
        room_version: request.room_version,
        event: request.event,
        state: request.invite_room_state.into_iter().map(as_sent).collect(),
    };
    let signed = federation.take_invite(invite).await.map_err(answer::invite)?;
    Ok(Outgoing(Response::new(answer::event(&signed)?)))
}
