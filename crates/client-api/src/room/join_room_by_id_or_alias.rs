//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>

use axum::extract::State;
use ruma::{OwnedRoomOrAliasId, api::client::membership::join_room_by_id_or_alias::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Join, Rooms};

use super::{answer, body::ReasonBody};
use crate::extract::{PathArgs, Vias};

#[instrument(name = "client_api.room.join_room_by_id_or_alias", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room,)): PathArgs<(OwnedRoomOrAliasId,)>,
    Vias(via): Vias,
    IncomingJson(body): IncomingJson<ReasonBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let found = rooms.find_room_abroad(&actor, &room, via).await;
    let (room_id, via) = found.map_err(answer::directory)?;
    let command = Join { room_id, reason: body.reason, via };
    let room_id = rooms.join(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new(room_id)))
}
