//! What this server is.

mod get_server_version;

use ruma::api::federation::discovery;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<discovery::get_server_version::v1::Request, _>(Usual, get_server_version::handle)
}
