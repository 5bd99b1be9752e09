//! `GET` and `POST /_matrix/client/v3/publicRooms`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>

use axum::extract::State;
use ruma::{
    OwnedServerName, UInt,
    api::client::directory::{get_public_rooms, get_public_rooms_filtered},
    directory::{Filter, PublicRoomsChunk, RoomNetwork},
};
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{Incoming, IncomingJson, MatrixError, MaybeCaller, OutgoingJson, QueryArgs};
use vestibule_rooms::{
    NotAToken, PublicRoom, PublicRoomsPage, PublicRoomsQuery, PublicRoomsToken, Rooms,
    RoomsElsewhereQuery,
};
use vestibule_types::{Actor, limits::PUBLIC_ROOMS_PAGE_MAX};

use crate::{failure, room::answer};

/// A page of the list, as the specification names it.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    chunk: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_room_count_estimate: Option<u64>,
}

/// A room of our list, or of another server's as that server says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry {
    Ours(PublicRoom),
    Theirs(PublicRoomsChunk),
}

/// Whose list it is.
#[derive(Debug, Deserialize)]
pub(crate) struct ServerArg {
    server: Option<OwnedServerName>,
}

/// What of the list is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    limit: Option<UInt>,
    since: Option<String>,
    filter: Option<Filter>,
    #[serde(flatten)]
    room_network: RoomNetwork,
}

#[instrument(name = "client_api.directory.get_public_rooms", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    Incoming(request): Incoming<get_public_rooms::v3::Request>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let mut wanted = get_public_rooms_filtered::v3::Request::new();
    wanted.limit = request.limit;
    wanted.since = request.since;
    wanted.server = request.server;
    list(&rooms, actor.as_ref(), wanted).await
}

/// The same with a filter.
#[instrument(name = "client_api.directory.get_public_rooms_filtered", skip_all)]
pub(crate) async fn filtered(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    QueryArgs(server): QueryArgs<ServerArg>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let mut wanted = get_public_rooms_filtered::v3::Request::new();
    wanted.limit = body.limit;
    wanted.since = body.since;
    wanted.server = server.server;
    wanted.filter = body.filter.unwrap_or_default();
    wanted.room_network = body.room_network;
    list(&rooms, actor.as_ref(), wanted).await
}

async fn list(
    rooms: &Rooms,
    actor: Option<&Actor>,
    mut wanted: get_public_rooms_filtered::v3::Request,
) -> Result<OutgoingJson<Page>, MatrixError> {
    let page = match wanted.server.take().filter(|server| server != rooms.server_name()) {
        None => here(rooms, actor, wanted).await,
        Some(server) => elsewhere(rooms, actor, server, wanted).await,
    };
    page.map(OutgoingJson)
}

async fn here(
    rooms: &Rooms,
    actor: Option<&Actor>,
    wanted: get_public_rooms_filtered::v3::Request,
) -> Result<Page, MatrixError> {
    let query = PublicRoomsQuery {
        limit: wanted.limit.map_or(0, size),
        since: since(wanted.since.as_deref())?,
        filter: wanted.filter,
        network: wanted.room_network,
    };
    let PublicRoomsPage { rooms, next, previous, total } =
        rooms.public_rooms(actor, query).await.map_err(failure::storage)?;
    Ok(Page {
        chunk: rooms.into_iter().map(Entry::Ours).collect(),
        next_batch: next.map(|next| next.to_string()),
        prev_batch: previous.map(|previous| previous.to_string()),
        total_room_count_estimate: Some(total),
    })
}

/// Another server is asked in the name of somebody who is logged in.
async fn elsewhere(
    rooms: &Rooms,
    actor: Option<&Actor>,
    server: OwnedServerName,
    wanted: get_public_rooms_filtered::v3::Request,
) -> Result<Page, MatrixError> {
    let actor = actor.ok_or_else(MatrixError::missing_token)?;
    let query = RoomsElsewhereQuery {
        limit: wanted.limit.map_or(PUBLIC_ROOMS_PAGE_MAX, size),
        since: wanted.since,
        filter: wanted.filter,
        network: wanted.room_network,
    };
    let page = rooms.public_rooms_elsewhere(actor, server, query).await;
    let page = page.map_err(answer::directory)?;
    Ok(Page {
        chunk: page.rooms.into_iter().map(Entry::Theirs).collect(),
        next_batch: page.next,
        prev_batch: page.previous,
        total_room_count_estimate: page.total.map(u64::from),
    })
}

fn size(limit: UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}

fn since(text: Option<&str>) -> Result<Option<PublicRoomsToken>, MatrixError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: NotAToken| MatrixError::invalid_param(error.to_string()))
}
