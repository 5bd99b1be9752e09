//! `GET /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias>

use axum::extract::State;
use ruma::api::client::alias::get_alias::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::room::answer;

#[instrument(name = "client_api.directory.get_alias", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let room_id = rooms.resolve_alias(&request.room_alias).await.map_err(answer::directory)?;
    let servers = vec![rooms.server_name().to_owned()];
    Ok(Outgoing(Response::new(room_id, servers)))
}
