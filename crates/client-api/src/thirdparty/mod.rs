//! Bridged networks. They come from application services, of which there are none: the list is empty,
//! and whoever asks for one of them learns that it is not known.

mod get_location_for_protocol;
mod get_location_for_room_alias;
mod get_protocol;
mod get_protocols;
mod get_user_for_protocol;
mod get_user_for_user_id;

use ruma::api::client::thirdparty;
use vestibule_http::MatrixError;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let look = EndpointRule::May(Ability::ThirdParty);
    routes
        .mount::<thirdparty::get_protocols::v3::Request, _>(look, get_protocols::handle)
        .mount::<thirdparty::get_protocol::v3::Request, _>(look, get_protocol::handle)
        .mount::<thirdparty::get_location_for_protocol::v3::Request, _>(
            look,
            get_location_for_protocol::handle,
        )
        .mount::<thirdparty::get_location_for_room_alias::v3::Request, _>(
            look,
            get_location_for_room_alias::handle,
        )
        .mount::<thirdparty::get_user_for_protocol::v3::Request, _>(
            look,
            get_user_for_protocol::handle,
        )
        .mount::<thirdparty::get_user_for_user_id::v3::Request, _>(
            look,
            get_user_for_user_id::handle,
        )
}

/// 404: no network is bridged here.
fn unknown_protocol() -> MatrixError {
    MatrixError::not_found("this server is not bridged to that network")
}
