//! `POST /_matrix/client/v3/knock/{roomIdOrAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias>

use axum::extract::State;
use ruma::{OwnedRoomOrAliasId, api::client::knock::knock_room::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Knock, Rooms};

use super::{answer, body::ReasonBody};
use crate::extract::{PathArgs, Vias};

#[instrument(name = "client_api.room.knock_room", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room,)): PathArgs<(OwnedRoomOrAliasId,)>,
    Vias(via): Vias,
    IncomingJson(body): IncomingJson<ReasonBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let found = rooms.find_room_abroad(&actor, &room, via).await;
    let (room_id, via) = found.map_err(answer::directory)?;
    let command = Knock { room_id: room_id.clone(), reason: body.reason, via };
    rooms.knock(&actor, command).await.map_err(answer::membership)?;
    Ok(Outgoing(Response::new(room_id)))
}
