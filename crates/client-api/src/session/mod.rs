//! Logging in and out.

mod get_login_token;
mod get_login_types;
mod log_in;
mod logout;
mod logout_all;
mod refresh_token;
mod sso_login;
mod sso_login_with_provider;

use ruma::api::client::session;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Anonymous, May};
    routes
        .mount::<session::get_login_types::v3::Request, _>(Anonymous, get_login_types::handle)
        .mount::<session::login::v3::Request, _>(Anonymous, log_in::handle)
        .mount::<session::get_login_token::v1::Request, _>(
            May(Ability::ManageAccount),
            get_login_token::handle,
        )
        .mount::<session::sso_login::v3::Request, _>(Anonymous, sso_login::handle)
        .mount::<session::sso_login_with_provider::v3::Request, _>(
            Anonymous,
            sso_login_with_provider::handle,
        )
        .mount::<session::refresh_token::v3::Request, _>(Anonymous, refresh_token::handle)
        .mount::<session::logout::v3::Request, _>(May(Ability::Logout), logout::handle)
        .mount::<session::logout_all::v3::Request, _>(May(Ability::Logout), logout_all::handle)
}
