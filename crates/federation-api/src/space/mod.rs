//! Spaces as other servers see them.

mod get_hierarchy;

use ruma::api::federation::space;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<space::get_hierarchy::v1::Request, _>(Usual, get_hierarchy::handle)
}
