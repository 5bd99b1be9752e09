//! Telling who proves to be one of our users.

mod get_openid_userinfo;

use ruma::api::federation::openid;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<openid::get_openid_userinfo::v1::Request, _>(Usual, get_openid_userinfo::handle)
}
