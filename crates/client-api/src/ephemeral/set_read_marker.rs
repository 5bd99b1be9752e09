//! `POST /_matrix/client/v3/rooms/{roomId}/read_markers`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers>

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId, api::client::read_marker::set_read_marker::v3::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{ReceiptKind, Rooms, SendReceipt};
use vestibule_types::Actor;

use super::{marker_answer, notice_answer};
use crate::extract::PathArgs;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "m.fully_read")]
    fully_read: Option<OwnedEventId>,
    #[serde(rename = "m.read")]
    read: Option<OwnedEventId>,
    #[serde(rename = "m.read.private")]
    read_private: Option<OwnedEventId>,
}

/// Where the marker stands.
#[derive(Deserialize)]
struct Marker {
    event_id: OwnedEventId,
}

#[instrument(name = "client_api.ephemeral.set_read_marker", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((room_id,)): PathArgs<(OwnedRoomId,)>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    if let Some(event_id) = body.fully_read {
        move_marker((&rooms, &accounts), &actor, room_id.clone(), event_id).await?;
    }
    let receipts = [(ReceiptKind::Public, body.read), (ReceiptKind::Private, body.read_private)];
    for (kind, event_id) in receipts {
        let Some(event_id) = event_id else { continue };
        let command = SendReceipt { room_id: room_id.clone(), event_id, kind, thread: None };
        rooms.send_receipt(&actor, command).await.map_err(notice_answer)?;
    }
    Ok(Outgoing(Response::new()))
}

/// The room says whether the marker may stand there, and whether that is further than it stands; the account
/// keeps it.
pub(super) async fn move_marker(
    (rooms, accounts): (&Rooms, &Accounts),
    actor: &Actor,
    room_id: OwnedRoomId,
    event_id: OwnedEventId,
) -> Result<(), MatrixError> {
    let (user, kind) = (actor.user_id(), "m.fully_read".to_owned());
    let current = accounts.account_data(actor, user, Some(room_id.clone()), kind).await;
    let current = current.map_err(marker_answer)?;
    let current = current.and_then(|content| serde_json::from_str::<Marker>(&content).ok());
    let current = current.map(|marker| marker.event_id);
    let checked = rooms.check_read_marker(actor, room_id.clone(), event_id.clone(), current);
    if !checked.await.map_err(notice_answer)? {
        return Ok(());
    }
    accounts.set_fully_read(user, &room_id, &event_id).await.map_err(marker_answer)
}
