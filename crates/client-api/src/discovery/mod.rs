//! What this server is and can do.

mod get_authorization_server_metadata;
mod get_capabilities;
mod versions;
mod well_known_client;
mod well_known_policy_server;
mod well_known_support;

use ruma::api::client::discovery::{
    discover_homeserver, discover_policy_server, discover_support,
    get_authorization_server_metadata as metadata, get_capabilities as capabilities,
    get_supported_versions,
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
        .mount::<discover_policy_server::Request, _>(Anonymous, well_known_policy_server::handle)
        .mount::<discover_support::Request, _>(Anonymous, well_known_support::handle)
        .mount::<metadata::v1::Request, _>(Anonymous, get_authorization_server_metadata::handle)
        .mount::<capabilities::v3::Request, _>(Authenticated, get_capabilities::handle)
}
