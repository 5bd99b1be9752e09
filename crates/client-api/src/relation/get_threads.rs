//! `GET /_matrix/client/v1/rooms/{roomId}/threads`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads>

use axum::extract::State;
use ruma::api::client::threads::get_threads::v1::{IncludeThreads, Request};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{Rooms, ThreadsQuery};

use super::PAGE;
use crate::{extract::page_size, room::answer};

/// A page of threads.
#[derive(Debug, Serialize)]
pub(super) struct Threads {
    chunk: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[instrument(name = "client_api.relation.get_threads", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Threads>, MatrixError> {
    let participated = match request.include {
        IncludeThreads::All => false,
        IncludeThreads::Participated => true,
        other => {
            let message = format!("`include` is neither all nor participated: {other}");
            return Err(MatrixError::invalid_param(message));
        }
    };
    let query = ThreadsQuery {
        room_id: request.room_id,
        participated,
        from: request.from,
        limit: page_size(request.limit, PAGE)?,
    };
    let page = rooms.threads(&actor, query).await.map_err(answer::read)?;
    Ok(OutgoingJson(Threads { chunk: page.chunk, next_batch: page.next }))
}
