//! Room aliases and the public list of rooms.

mod create_alias;
mod delete_alias;
mod get_alias;
mod get_public_rooms;
mod get_room_aliases;
mod get_room_visibility;
mod set_room_visibility;

use ruma::api::client::{alias, directory, room};
use vestibule_http::Login;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Anonymous, Authenticated, May, PublicDirectory};
    routes
        .mount::<alias::create_alias::v3::Request, _>(
            May(Ability::CreateAlias),
            create_alias::handle,
        )
        .mount::<alias::delete_alias::v3::Request, _>(
            May(Ability::DeleteAlias),
            delete_alias::handle,
        )
        .mount::<alias::get_alias::v3::Request, _>(Anonymous, get_alias::handle)
        .mount::<room::aliases::v3::Request, _>(Authenticated, get_room_aliases::handle)
        .mount::<directory::get_room_visibility::v3::Request, _>(
            Anonymous,
            get_room_visibility::handle,
        )
        .mount::<directory::set_room_visibility::v3::Request, _>(
            May(Ability::Publish),
            set_room_visibility::handle,
        )
        .mount_with_login::<directory::get_public_rooms::v3::Request, _>(
            PublicDirectory,
            Login::Optional,
            get_public_rooms::handle,
        )
        .mount_with_login::<directory::get_public_rooms_filtered::v3::Request, _>(
            PublicDirectory,
            Login::Optional,
            get_public_rooms::filtered,
        )
}
