//! Who is there.

mod get_presence;
mod set_presence;

use ruma::api::client::presence;
use vestibule_http::MatrixError;
use vestibule_policy::{Ability, EndpointRule};
use vestibule_rooms::PresenceError;

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let may = EndpointRule::May(Ability::Presence);
    routes
        .mount::<presence::set_presence::v3::Request, _>(may, set_presence::handle)
        .mount::<presence::get_presence::v3::Request, _>(may, get_presence::handle)
}

fn presence_answer(error: PresenceError) -> MatrixError {
    let message = error.to_string();
    match error {
        PresenceError::NotOwn | PresenceError::NotShared => MatrixError::forbidden(message),
        PresenceError::TooLong => MatrixError::invalid_param(message),
        PresenceError::Unknown => MatrixError::not_found(message),
        PresenceError::Storage(cause) => failure::storage(cause),
    }
}
