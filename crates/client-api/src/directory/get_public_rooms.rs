//! `GET` and `POST /_matrix/client/v3/publicRooms`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>

use axum::extract::State;
use ruma::api::client::directory::{get_public_rooms, get_public_rooms_filtered};
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Incoming, MatrixError, MaybeCaller, OutgoingJson};
use vestibule_rooms::{PublicRoomsPage, PublicRoomsQuery, RoomSummary, Rooms};
use vestibule_types::{Actor, limits::PUBLIC_ROOMS_PAGE_MAX};

use crate::failure;

/// A page of the list, as the specification names it.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    chunk: Vec<Chunk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    total_room_count_estimate: u64,
}

/// A room of the list.
#[derive(Debug, Serialize)]
pub(crate) struct Chunk {
    room_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_type: Option<String>,
    join_rule: String,
    num_joined_members: u64,
    world_readable: bool,
    guest_can_join: bool,
}

#[instrument(name = "client_api.directory.get_public_rooms", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    Incoming(request): Incoming<get_public_rooms::v3::Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    if request.server.is_some_and(|server| server != rooms.server_name()) {
        return Err(MatrixError::not_found("this server does not ask other servers"));
    }
    let query = PublicRoomsQuery {
        limit: request.limit.map_or(PUBLIC_ROOMS_PAGE_MAX, size),
        since: since(request.since.as_deref())?,
        ..PublicRoomsQuery::default()
    };
    answer(&rooms, actor.as_ref(), query).await
}

/// The same with a filter.
#[instrument(name = "client_api.directory.get_public_rooms_filtered", skip_all)]
pub(crate) async fn filtered(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    Incoming(request): Incoming<get_public_rooms_filtered::v3::Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    if request.server.is_some_and(|server| server != rooms.server_name()) {
        return Err(MatrixError::not_found("this server does not ask other servers"));
    }
    let kinds = request.filter.room_types;
    let room_types = (!kinds.is_empty())
        .then(|| kinds.iter().map(|kind| kind.as_str().map(ToOwned::to_owned)).collect());
    let query = PublicRoomsQuery {
        limit: request.limit.map_or(PUBLIC_ROOMS_PAGE_MAX, size),
        since: since(request.since.as_deref())?,
        search: request.filter.generic_search_term,
        room_types,
    };
    answer(&rooms, actor.as_ref(), query).await
}

async fn answer(
    rooms: &Rooms,
    actor: Option<&Actor>,
    query: PublicRoomsQuery,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let PublicRoomsPage { rooms, next, total } =
        rooms.public_rooms(actor, query).await.map_err(failure::storage)?;
    Ok(OutgoingJson(Page {
        chunk: rooms.into_iter().map(chunk).collect(),
        next_batch: next.map(|next| next.to_string()),
        total_room_count_estimate: total,
    }))
}

fn chunk(room: RoomSummary) -> Chunk {
    Chunk {
        room_id: room.room_id.to_string(),
        name: room.name,
        topic: room.topic,
        avatar_url: room.avatar_url,
        canonical_alias: room.canonical_alias.map(|alias| alias.to_string()),
        room_type: room.room_type,
        join_rule: room.join_rule,
        num_joined_members: room.joined_members,
        world_readable: room.world_readable,
        guest_can_join: room.guest_can_join,
    }
}

fn size(limit: ruma::UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}

fn since(text: Option<&str>) -> Result<Option<u64>, MatrixError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| MatrixError::invalid_param("`since` is not a token of this server"))
}
