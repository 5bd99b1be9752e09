//! What passes: typing, receipts, read markers.

mod create_receipt;
mod create_typing_event;
mod set_read_marker;

use ruma::api::client::{read_marker, receipt, typing};
use vestibule_accounts::SetAccountDataError;
use vestibule_http::MatrixError;
use vestibule_policy::{Ability, EndpointRule};
use vestibule_rooms::{AskError, NoticeError};

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let may = EndpointRule::May(Ability::TypingReceipts);
    routes
        .mount::<typing::create_typing_event::v3::Request, _>(may, create_typing_event::handle)
        .mount::<receipt::create_receipt::v3::Request, _>(may, create_receipt::handle)
        .mount::<read_marker::set_read_marker::v3::Request, _>(may, set_read_marker::handle)
}

fn notice_answer(error: NoticeError) -> MatrixError {
    let message = error.to_string();
    match error {
        // Whether the room exists is nobody's business who is not in it.
        NoticeError::UnknownRoom(_) => MatrixError::forbidden("you are not in this room"),
        NoticeError::NotJoined => MatrixError::forbidden(message),
        NoticeError::UnknownEvent => MatrixError::not_found(message),
        NoticeError::BadThread(_) => MatrixError::invalid_param(message),
        NoticeError::Ask(AskError::Denied(denial)) => denial.into(),
        NoticeError::Ask(AskError::Storage(cause)) => failure::storage(cause),
    }
}

fn marker_answer(error: SetAccountDataError) -> MatrixError {
    let message = error.to_string();
    match error {
        SetAccountDataError::Storage(cause) => failure::storage(cause),
        SetAccountDataError::Denied(denial) => denial.into(),
        SetAccountDataError::TooLarge => MatrixError::too_large(message),
        SetAccountDataError::NotOwn
        | SetAccountDataError::ServerControlled
        | SetAccountDataError::TooMany => MatrixError::forbidden(message),
    }
}
