//! `GET /_matrix/federation/v1/backfill/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid>

use axum::extract::State;
use ruma::api::federation::backfill::get_backfill::v1::{Request, Response};
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::Rooms;

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.backfill.get_backfill", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let limit = usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX);
    let pdus = rooms.backfill_for_server(&origin, &request.room_id, request.v, limit).await;
    let pdus = pdus.map_err(failure::read)?;
    Ok(Outgoing(Response::new(rooms.server_name().to_owned(), rooms.now(), pdus)))
}
