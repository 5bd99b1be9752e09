//! Invitations by addresses that identity servers know.

mod bind_callback;

use ruma::api::federation::thirdparty;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<thirdparty::bind_callback::v1::Request, _>(Usual, bind_callback::handle)
}
