//! End-to-end keys of users of this server.

mod claim_keys;
mod get_devices;
mod get_keys;

use ruma::api::federation::{device, keys};

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<device::get_devices::v1::Request, _>(Usual, get_devices::handle)
        .mount::<keys::get_keys::v1::Request, _>(Usual, get_keys::handle)
        .mount::<keys::claim_keys::v1::Request, _>(Usual, claim_keys::handle)
}
