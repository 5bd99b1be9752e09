//! Profiles.

mod delete_profile_field;
mod get_profile;
mod get_profile_field;
mod set_profile_field;

use ruma::api::client::profile;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

/// Which of them it takes depends on the field.
const CHANGE: EndpointRule =
    EndpointRule::MayAny(&[Ability::SetDisplayname, Ability::SetAvatar, Ability::SetProfileField]);

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::Anonymous;
    routes
        .mount::<profile::get_profile::v3::Request, _>(Anonymous, get_profile::handle)
        .mount::<profile::get_profile_field::v3::Request, _>(Anonymous, get_profile_field::handle)
        .mount::<profile::set_profile_field::v3::Request, _>(CHANGE, set_profile_field::handle)
        .mount::<profile::delete_profile_field::v3::Request, _>(
            CHANGE,
            delete_profile_field::handle,
        )
        .mount_also::<profile::delete_profile_field::v3::Request, _>(
            "/_matrix/client/r0/profile/{user_id}/{field}",
            CHANGE,
            delete_profile_field::handle,
        )
}
