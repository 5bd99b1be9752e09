//! Proving to somebody else who one is.

mod request_openid_token;

use ruma::api::client::account;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    routes.mount::<account::request_openid_token::v3::Request, _>(
        EndpointRule::May(Ability::Openid),
        request_openid_token::handle,
    )
}
