//! What this server is and can do.

mod get_capabilities;
mod versions;
mod well_known_client;

use ruma::api::client::discovery::{
    discover_homeserver, get_capabilities as capabilities, get_supported_versions,
};
use vestibule_policy::EndpointRule;

pub use self::versions::CLAIMED_VERSIONS;
use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Anonymous, Authenticated};
    routes
        .mount_with_login::<get_supported_versions::Request, _>(
            Anonymous,
            vestibule_http::Login::Ignored,
            versions::handle,
        )
        .mount::<discover_homeserver::Request, _>(Anonymous, well_known_client::handle)
        .mount::<capabilities::v3::Request, _>(Authenticated, get_capabilities::handle)
}
