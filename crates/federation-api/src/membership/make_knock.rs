//! `GET /_matrix/federation/v1/make_knock/{roomId}/{userId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_knockroomiduserid>

use axum::extract::State;
use ruma::api::federation::membership::prepare_knock_event::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{MakeMembership, Rooms, Wanted};

use super::answer;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.make_knock", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = MakeMembership {
        wanted: Wanted::Knock,
        room_id: request.room_id,
        user_id: request.user_id,
        versions: Some(request.ver),
    };
    let template = rooms.make_membership(&origin, command).await.map_err(answer::handshake)?;
    Ok(Outgoing(Response::new(template.version.id(), template.event)))
}
