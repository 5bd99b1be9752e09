//! `GET /_matrix/client/v3/joined_rooms`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms>

use axum::extract::State;
use ruma::api::client::membership::joined_rooms::v3::Response;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::failure;

#[instrument(name = "client_api.room.joined_rooms", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
) -> Result<Outgoing<Response>, MatrixError> {
    let joined = rooms.joined_rooms(&actor).await.map_err(failure::storage)?;
    Ok(Outgoing(Response::new(joined)))
}
