//! Invitations by addresses that identity servers know.

mod bind_callback;
mod exchange_invite;

use http::Method;
use ruma::api::federation::thirdparty;
use vestibule_http::Login;

use crate::{BodySize::Usual, FederationRoutes};

/// Where identity servers that are older than the specification of this endpoint bring bindings: by
/// `POST`, where it says `PUT`.
const OLD_BIND: &str = "/_matrix/federation/v1/3pid/onbind";

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount_at(Method::POST, OLD_BIND, (Usual, Login::Ignored), bind_callback::handle_old)
        .mount::<thirdparty::bind_callback::v1::Request, _>(Usual, bind_callback::handle)
        .mount::<thirdparty::exchange_invite::v1::Request, _>(Usual, exchange_invite::handle)
}
