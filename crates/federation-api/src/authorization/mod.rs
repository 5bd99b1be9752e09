//! What authorizes events.

mod get_event_authorization;

use ruma::api::federation::authorization;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<authorization::get_event_authorization::v1::Request, _>(
        Usual,
        get_event_authorization::handle,
    )
}
