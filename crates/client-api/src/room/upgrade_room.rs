//! `POST /_matrix/client/v3/rooms/{roomId}/upgrade`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade>

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, api::client::room::upgrade_room::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{Rooms, UpgradeRoom};

use super::answer;
use crate::extract::PathArgs;

/// The successor's version and creators.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    new_version: String,
    additional_creators: Option<Vec<OwnedUserId>>,
}

#[instrument(name = "client_api.room.upgrade_room", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = UpgradeRoom {
        room_id,
        new_version: body.new_version,
        additional_creators: body.additional_creators.unwrap_or_default(),
    };
    let successor = rooms.upgrade_room(&actor, command).await.map_err(answer::upgrade)?;
    Ok(Outgoing(Response::new(successor)))
}
