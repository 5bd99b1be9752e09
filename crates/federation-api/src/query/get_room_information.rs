//! `GET /_matrix/federation/v1/query/directory`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory>

use axum::extract::State;
use ruma::api::federation::query::get_room_information::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.query.get_room_information", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(_): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let named = rooms.alias_for_server(&request.room_alias).await.map_err(failure::read)?;
    Ok(Outgoing(Response::new(named.room_id, named.servers)))
}
