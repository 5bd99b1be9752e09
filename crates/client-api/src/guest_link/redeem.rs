//! `POST /_vestibule/client/v1/guest_links/redeem`: a guest link opens its room to whoever asks.

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::{GuestLinkError, Rooms};
use vestibule_types::Secret;

use crate::room::answer;

#[derive(Debug, Deserialize)]
pub(crate) struct Redemption {
    /// The link's token.
    token: Secret,
}

#[derive(Debug, Serialize)]
pub(crate) struct Redeemed {
    /// The room that is open now.
    room_id: OwnedRoomId,
}

#[instrument(name = "client_api.guest_link.redeem", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    IncomingJson(wanted): IncomingJson<Redemption>,
) -> Result<OutgoingJson<Redeemed>, MatrixError> {
    let opened = rooms.redeem_guest_link(&actor, wanted.token.expose()).await;
    Ok(OutgoingJson(Redeemed { room_id: opened.map_err(refusal)? }))
}

fn refusal(error: GuestLinkError) -> MatrixError {
    let message = error.to_string();
    match error {
        GuestLinkError::Unknown | GuestLinkError::UnknownRoom(_) => {
            MatrixError::not_found(message).with_reason("guest_link_unknown")
        }
        GuestLinkError::Expired => {
            MatrixError::forbidden(message).with_reason("guest_link_expired")
        }
        GuestLinkError::UsedUp => MatrixError::forbidden(message).with_reason("guest_link_used_up"),
        GuestLinkError::TooMany => {
            MatrixError::forbidden(message).with_reason("guest_link_too_many")
        }
        GuestLinkError::OutOfBounds => MatrixError::invalid_param(message),
        GuestLinkError::Ask(error) => answer::ask(error),
    }
}
