//! `PUT /_matrix/client/v3/directory/list/room/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::directory::set_room_visibility::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::{extract::PathArgs, room::answer};

/// Whether the directory lists a room. Anything else is refused, so that a slip publishes nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    #[default]
    Public,
    Private,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(default)]
    visibility: Visibility,
}

#[instrument(name = "client_api.directory.set_room_visibility", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let published = matches!(body.visibility, Visibility::Public);
    let set = rooms.set_published(&actor, room_id, published).await;
    set.map_err(answer::directory)?;
    Ok(Outgoing(Response::new()))
}
