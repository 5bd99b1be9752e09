//! Guest links: doors of one room for so many guests.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use vestibule_http::{MatrixError, internal};
use vestibule_rooms::{AskError, GuestLink, GuestLinkError};

use crate::GuestLinkAnswer;

fn told(link: GuestLink, token: Option<String>) -> GuestLinkAnswer {
    GuestLinkAnswer {
        id: link.id,
        token,
        room_id: link.room_id.to_string(),
        made_by: link.maker.to_string(),
        uses_left: link.uses_left,
        expires_at_ms: link.expires_at,
    }
}

fn answer(error: GuestLinkError) -> MatrixError {
    let message = error.to_string();
    match error {
        GuestLinkError::Unknown | GuestLinkError::UnknownRoom(_) => MatrixError::not_found(message),
        GuestLinkError::OutOfBounds
        | GuestLinkError::TooMany
        | GuestLinkError::Expired
        | GuestLinkError::UsedUp => MatrixError::invalid_param(message),
        GuestLinkError::Ask(AskError::Denied(denial)) => MatrixError::from(denial),
        GuestLinkError::Ask(AskError::Storage(cause)) => internal(&cause),
    }
}
