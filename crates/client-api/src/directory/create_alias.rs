//! `PUT /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias>

use axum::extract::State;
use ruma::api::client::alias::create_alias::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::room::answer;

#[instrument(name = "client_api.directory.create_alias", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let named = rooms.create_alias(&actor, request.room_alias, request.room_id).await;
    named.map_err(answer::directory)?;
    Ok(Outgoing(Response::new()))
}
