//! `GET /_matrix/client/v3/rooms/{roomId}/initialSync`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync>

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::peeking::get_current_state::v3::Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{RoomAccountData, Rooms, name_of};
use vestibule_sync::Sync;

use super::answer;
use crate::{extract::QueryArgs, sync::sync_answer};

/// A room as it is, with what was said last.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    room_id: OwnedRoomId,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'static str>,
    messages: Messages,
    state: Vec<Box<RawValue>>,
    visibility: &'static str,
    account_data: Vec<RoomAccountData>,
    presence: Vec<Box<RawValue>>,
    receipts: Vec<Box<RawValue>>,
}

/// What the query may say beside the specification.
#[derive(Debug, Deserialize)]
pub(crate) struct Args {
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Messages {
    chunk: Vec<Box<RawValue>>,
    start: String,
    end: String,
}

#[instrument(name = "client_api.room.initial_sync", skip_all)]
pub(crate) async fn handle(
    (State(rooms), State(sync)): (State<Rooms>, State<Sync>),
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Snapshot>, MatrixError> {
    let room = rooms.initial_sync(&actor, &request.room_id, args.limit).await;
    let room = room.map_err(answer::read)?;
    let passing = sync.passing(&actor, &request.room_id).await.map_err(sync_answer)?;
    Ok(OutgoingJson(Snapshot {
        room_id: request.room_id,
        membership: room.membership.map(|membership| name_of(Some(membership))),
        messages: Messages { chunk: room.messages, start: room.start, end: room.end },
        state: room.state,
        visibility: if room.published { "public" } else { "private" },
        account_data: room.account_data,
        presence: passing.presence,
        receipts: passing.receipts,
    }))
}
