//! Making, describing and ending accounts.

mod change_password;
mod check_registration_token_validity;
mod deactivate;
mod get_3pids;
mod get_username_availability;
mod register;
mod register_shared_secret;
mod turn_server;
mod whoami;

use http::Method;
use ruma::api::client::{account, voip::get_turn_server_info};
use vestibule_http::Login;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

/// Where operators' tools expect registration by shared secret.
const SHARED_SECRET: &str = "/_synapse/admin/v1/register";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Anonymous, Authenticated, May};
    let open = (Anonymous, Login::Ignored);
    routes
        .mount::<account::register::v3::Request, _>(Anonymous, register::handle)
        .mount::<account::get_username_availability::v3::Request, _>(
            Anonymous,
            get_username_availability::handle,
        )
        .mount::<account::check_registration_token_validity::v1::Request, _>(
            Anonymous,
            check_registration_token_validity::handle,
        )
        .mount_at(Method::GET, SHARED_SECRET, open, register_shared_secret::nonce)
        .mount_at(Method::POST, SHARED_SECRET, open, register_shared_secret::handle)
        .mount::<account::whoami::v3::Request, _>(Authenticated, whoami::handle)
        .mount::<account::get_3pids::v3::Request, _>(May(Ability::ManageAccount), get_3pids::handle)
        .mount_with_login::<account::change_password::v3::Request, _>(
            May(Ability::ManageAccount),
            Login::Required,
            change_password::handle,
        )
        .mount_with_login::<account::deactivate::v3::Request, _>(
            May(Ability::Deactivate),
            Login::Required,
            deactivate::handle,
        )
        .mount::<get_turn_server_info::v3::Request, _>(May(Ability::Voip), turn_server::handle)
}
