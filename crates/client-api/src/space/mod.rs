//! Spaces, and rooms seen from outside.

mod get_hierarchy;
mod get_summary;

use ruma::api::client::{room, space};
use vestibule_http::Login;
use vestibule_policy::EndpointRule;

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, PublicDirectory};
    routes
        .mount::<space::get_hierarchy::v1::Request, _>(Authenticated, get_hierarchy::handle)
        .mount_with_login::<room::get_summary::v1::Request, _>(
        PublicDirectory,
        Login::Optional,
        get_summary::handle,
    )
}
