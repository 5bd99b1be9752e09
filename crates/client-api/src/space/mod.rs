//! Spaces, and rooms seen from outside.

mod get_hierarchy;
mod get_summary;

use http::Method;
use ruma::api::client::{room, space};
use vestibule_http::Login;
use vestibule_policy::EndpointRule;

use crate::ClientRoutes;

/// Where clients look first that know the summary from before it was in the specification (MSC3266).
const OLD_SUMMARY: &str = "/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, PublicDirectory};
    let open = (PublicDirectory, Login::Optional);
    routes
        .mount::<space::get_hierarchy::v1::Request, _>(Authenticated, get_hierarchy::handle)
        .mount_with_login::<room::get_summary::v1::Request, _>(open.0, open.1, get_summary::handle)
        .mount_at(Method::GET, OLD_SUMMARY, open, get_summary::handle)
}
