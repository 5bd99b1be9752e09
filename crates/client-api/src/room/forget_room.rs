//! `POST /_matrix/client/v3/rooms/{roomId}/forget`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget>

use axum::extract::State;
use ruma::api::client::membership::forget_room::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use super::answer;

#[instrument(name = "client_api.room.forget_room", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    rooms.forget(&actor, &request.room_id).await.map_err(answer::forget)?;
    Ok(Outgoing(Response::new()))
}
