//! Being a policy server, which this one is not.

mod sign_event;

use ruma::api::federation::policy;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<policy::sign_event::v1::Request, _>(Usual, sign_event::handle)
}
