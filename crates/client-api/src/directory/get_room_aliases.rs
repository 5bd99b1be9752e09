//! `GET /_matrix/client/v3/rooms/{roomId}/aliases`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases>

use axum::extract::State;
use ruma::api::client::room::aliases::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::room::answer;

#[instrument(name = "client_api.directory.get_room_aliases", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let aliases = rooms.room_aliases(&actor, &request.room_id).await.map_err(answer::read)?;
    Ok(Outgoing(Response::new(aliases)))
}
