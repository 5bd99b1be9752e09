//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>

use axum::extract::State;
use ruma::OwnedRoomOrAliasId;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{MatrixError, MaybeCaller, OutgoingJson};
use vestibule_rooms::{RoomSummary, Rooms, name_of};

use crate::{
    extract::{PathArgs, Vias},
    room::answer,
};

/// A room, and what the caller is to it.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    #[serde(flatten)]
    summary: RoomSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'static str>,
}

#[instrument(name = "client_api.space.get_summary", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    MaybeCaller(actor): MaybeCaller,
    PathArgs((room,)): PathArgs<(OwnedRoomOrAliasId,)>,
    Vias(via): Vias,
) -> Result<OutgoingJson<Preview>, MatrixError> {
    let preview = rooms.room_summary(actor.as_ref(), &room, via).await;
    let preview = preview.map_err(answer::read)?;
    let membership = actor.map(|_| name_of(preview.membership));
    Ok(OutgoingJson(Preview { summary: preview.summary, membership }))
}
