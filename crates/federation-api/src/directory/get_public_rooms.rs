//! `GET` and `POST /_matrix/federation/v1/publicRooms`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1publicrooms>

use axum::extract::State;
use ruma::api::federation::directory::{get_public_rooms, get_public_rooms_filtered};
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{
    DirectoryForServerError, NotAToken, PublicRoom, PublicRoomsPage, PublicRoomsQuery,
    PublicRoomsToken, Rooms,
};

use crate::{failure, guard::Origin};

/// A page of the list, as the specification names it.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    chunk: Vec<PublicRoom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    total_room_count_estimate: u64,
}

#[instrument(name = "federation_api.directory.get_public_rooms", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Origin(_): Origin,
    Incoming(request): Incoming<get_public_rooms::v1::Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let query = PublicRoomsQuery {
        limit: size(request.limit),
        since: since(request.since.as_deref())?,
        ..PublicRoomsQuery::default()
    };
    page(&rooms, query).await
}

/// The same with a filter.
#[instrument(name = "federation_api.directory.get_public_rooms_filtered", skip_all)]
pub(crate) async fn filtered(
    State(rooms): State<Rooms>,
    Origin(_): Origin,
    Incoming(request): Incoming<get_public_rooms_filtered::v1::Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let query = PublicRoomsQuery {
        limit: size(request.limit),
        since: since(request.since.as_deref())?,
        filter: request.filter,
        network: request.room_network,
    };
    page(&rooms, query).await
}

async fn page(rooms: &Rooms, query: PublicRoomsQuery) -> Result<OutgoingJson<Page>, MatrixError> {
    let found = rooms.public_rooms_for_server(query).await.map_err(answer)?;
    let PublicRoomsPage { rooms, next, previous, total } = found;
    Ok(OutgoingJson(Page {
        chunk: rooms,
        next_batch: next.map(|next| next.to_string()),
        prev_batch: previous.map(|previous| previous.to_string()),
        total_room_count_estimate: total,
    }))
}

fn answer(error: DirectoryForServerError) -> MatrixError {
    match error {
        DirectoryForServerError::Hidden => MatrixError::forbidden(error.to_string()),
        DirectoryForServerError::Storage(cause) => failure::storage(cause),
    }
}

/// Without a number, and with zero, there is no limit but ours.
fn size(limit: Option<ruma::UInt>) -> usize {
    limit.map_or(0, |limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX))
}

fn since(text: Option<&str>) -> Result<Option<PublicRoomsToken>, MatrixError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: NotAToken| MatrixError::invalid_param(error.to_string()))
}
