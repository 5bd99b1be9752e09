//! Finding people.

mod search_users;

use ruma::api::client::user_directory;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    routes.mount::<user_directory::search_users::v3::Request, _>(
        EndpointRule::May(Ability::SearchUsers),
        search_users::handle,
    )
}
