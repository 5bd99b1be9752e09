//! Searching messages.

mod search_events;

use ruma::api::client::search;
use vestibule_http::MatrixError;
use vestibule_policy::{Ability, EndpointRule};
use vestibule_search::SearchError;

use crate::{ClientRoutes, room::answer};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    routes.mount::<search::search_events::v3::Request, _>(
        EndpointRule::May(Ability::SearchMessages),
        search_events::handle,
    )
}

fn search_answer(error: SearchError) -> MatrixError {
    let message = error.to_string();
    match error {
        SearchError::BadToken => MatrixError::invalid_param(message),
        SearchError::Ask(error) => answer::ask(error),
    }
}
