//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>

use axum::extract::State;
use ruma::{OwnedRoomOrAliasId, api::client::membership::join_room_by_id_or_alias::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use super::{answer, body::JoinBody};
use crate::extract::{PathArgs, Vias};

#[instrument(name = "client_api.room.join_room_by_id_or_alias", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room,)): PathArgs<(OwnedRoomOrAliasId,)>,
    Vias(via): Vias,
    IncomingJson(body): IncomingJson<JoinBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let found = rooms.find_room_abroad(&actor, &room, via).await;
    let (room_id, via) = found.map_err(answer::directory)?;
    let command = body.join(room_id, via)?;
    let room_id = rooms.join(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new(room_id)))
}
