//! What this server is.

mod discover_homeserver;
mod get_server_version;

use ruma::api::federation::discovery;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<discovery::discover_homeserver::Request, _>(Usual, discover_homeserver::handle)
        .mount::<discovery::get_server_version::v1::Request, _>(Usual, get_server_version::handle)
}
