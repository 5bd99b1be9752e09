//! `GET /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias>

use axum::extract::State;
use ruma::api::client::alias::get_alias::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, MaybeCaller, Outgoing};
use vestibule_rooms::Rooms;

use crate::room::answer;

#[instrument(name = "client_api.directory.get_alias", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let found = rooms.find_alias(actor.as_ref(), &request.room_alias).await;
    let found = found.map_err(answer::directory)?;
    Ok(Outgoing(Response::new(found.room_id, found.servers)))
}
