//! The public list of rooms.

mod get_public_rooms;

use ruma::api::federation::directory;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<directory::get_public_rooms::v1::Request, _>(Usual, get_public_rooms::handle)
        .mount::<directory::get_public_rooms_filtered::v1::Request, _>(
        Usual,
        get_public_rooms::filtered,
    )
}
