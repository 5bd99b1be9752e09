//! `GET /_matrix/client/v3/directory/list/room/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid>

use axum::extract::State;
use ruma::api::client::{
    directory::get_room_visibility::v3::{Request, Response},
    room::Visibility,
};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::failure;

#[instrument(name = "client_api.directory.get_room_visibility", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let published = rooms.is_published(&request.room_id).await.map_err(failure::storage)?;
    let published = published.ok_or_else(|| MatrixError::not_found("no such room"))?;
    let visibility = if published { Visibility::Public } else { Visibility::Private };
    Ok(Outgoing(Response::new(visibility)))
}
