//! Making, describing and ending accounts.

mod add_3pid;
mod add_3pid_old;
mod bind_3pid;
mod change_password;
mod check_registration_token_validity;
mod confirm_email;
mod deactivate;
mod delete_3pid;
mod get_3pids;
mod get_username_availability;
mod register;
mod register_shared_secret;
mod request_3pid_management_token_via_email;
mod request_3pid_management_token_via_msisdn;
mod request_password_change_token_via_email;
mod request_password_change_token_via_msisdn;
mod request_registration_token_via_email;
mod request_registration_token_via_msisdn;
mod turn_server;
mod unbind_3pid;
mod validation;
mod whoami;

use http::Method;
use ruma::api::client::{account, voip::get_turn_server_info};
use vestibule_accounts::CONFIRM_PATH;
use vestibule_http::Login;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

/// Where operators' tools expect registration by shared secret.
const SHARED_SECRET: &str = "/_synapse/admin/v1/register";

/// The deprecated way to add an identifier, by an identity server.
const ADD_OLD: [&str; 2] = ["/_matrix/client/r0/account/3pid", "/_matrix/client/v3/account/3pid"];

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    requests_for_mail(contacts(accounts(routes)))
}

/// The third-party identifiers of an account.
fn contacts(routes: ClientRoutes) -> ClientRoutes {
    let manage = EndpointRule::May(Ability::ManageAccount);
    let open = (EndpointRule::Anonymous, Login::Ignored);
    let routes = routes
        .mount::<account::get_3pids::v3::Request, _>(manage, get_3pids::handle)
        .mount::<account::add_3pid::v3::Request, _>(manage, add_3pid::handle)
        .mount::<account::bind_3pid::v3::Request, _>(manage, bind_3pid::handle)
        .mount::<account::unbind_3pid::v3::Request, _>(manage, unbind_3pid::handle)
        .mount::<account::delete_3pid::v3::Request, _>(manage, delete_3pid::handle)
        .mount_at(Method::GET, CONFIRM_PATH, open, confirm_email::page)
        .mount_at(Method::POST, CONFIRM_PATH, open, confirm_email::handle);
    ADD_OLD.iter().fold(routes, |routes, path| {
        routes.mount_at(Method::POST, path, (manage, Login::Required), add_3pid_old::handle)
    })
}

/// Beginning to prove to have an address.
fn requests_for_mail(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::Anonymous;
    routes
        .mount::<account::request_registration_token_via_email::v3::Request, _>(
            Anonymous,
            request_registration_token_via_email::handle,
        )
        .mount::<account::request_3pid_management_token_via_email::v3::Request, _>(
            Anonymous,
            request_3pid_management_token_via_email::handle,
        )
        .mount::<account::request_password_change_token_via_email::v3::Request, _>(
            Anonymous,
            request_password_change_token_via_email::handle,
        )
        .mount::<account::request_registration_token_via_msisdn::v3::Request, _>(
            Anonymous,
            request_registration_token_via_msisdn::handle,
        )
        .mount::<account::request_3pid_management_token_via_msisdn::v3::Request, _>(
            Anonymous,
            request_3pid_management_token_via_msisdn::handle,
        )
        .mount::<account::request_password_change_token_via_msisdn::v3::Request, _>(
            Anonymous,
            request_password_change_token_via_msisdn::handle,
        )
}

fn accounts(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Anonymous, Authenticated, May, MayOrNobody};
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
        .mount_with_login::<account::change_password::v3::Request, _>(
            MayOrNobody(Ability::ManageAccount),
            Login::Optional,
            change_password::handle,
        )
        .mount_with_login::<account::deactivate::v3::Request, _>(
            May(Ability::Deactivate),
            Login::Required,
            deactivate::handle,
        )
        .mount::<get_turn_server_info::v3::Request, _>(May(Ability::Voip), turn_server::handle)
}
