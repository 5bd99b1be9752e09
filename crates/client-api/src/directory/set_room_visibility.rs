//! `PUT /_matrix/client/v3/directory/list/room/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid>

use axum::extract::State;
use ruma::api::client::{
    directory::set_room_visibility::v3::{Request, Response},
    room::Visibility,
};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::room::answer;

#[instrument(name = "client_api.directory.set_room_visibility", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let published = request.visibility == Visibility::Public;
    let set = rooms.set_published(&actor, request.room_id, published).await;
    set.map_err(answer::directory)?;
    Ok(Outgoing(Response::new()))
}
