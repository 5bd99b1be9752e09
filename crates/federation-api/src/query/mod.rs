//! Questions about aliases and people.

mod get_custom_information;
mod get_profile_information;
mod get_room_information;

use ruma::api::federation::query;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<query::get_custom_information::v1::Request, _>(
            Usual,
            get_custom_information::handle,
        )
        .mount::<query::get_profile_information::v1::Request, _>(
            Usual,
            get_profile_information::handle,
        )
        .mount::<query::get_room_information::v1::Request, _>(Usual, get_room_information::handle)
}
