//! `GET /_matrix/client/v1/mutual_rooms`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms>

use axum::extract::State;
use ruma::{
    UInt,
    api::client::membership::get_mutual_rooms::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::{MutualRoomsError, Rooms};

use crate::failure;

#[instrument(name = "client_api.room.get_mutual_rooms", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let shared = rooms.mutual_rooms(&actor, &request.user_id, request.from.as_deref()).await;
    let shared = shared.map_err(answer)?;
    let count = UInt::try_from(shared.count).unwrap_or(UInt::MAX);
    let mut response = Response::new(count, shared.joined);
    response.next_batch = shared.next_batch;
    Ok(Outgoing(response))
}

fn answer(error: MutualRoomsError) -> MatrixError {
    let message = error.to_string();
    match error {
        MutualRoomsError::Oneself | MutualRoomsError::NonCompliant | MutualRoomsError::BadToken => {
            MatrixError::invalid_param(message)
        }
        MutualRoomsError::Storage(cause) => failure::storage(cause),
    }
}
