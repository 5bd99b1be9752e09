//! Telling devices of news: pushers, and what a user was told of.

mod get_notifications;
mod get_pushers;
mod set_pusher;

use ruma::api::client::push;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let may = EndpointRule::May(Ability::Pushers);
    routes
        .mount::<push::get_pushers::v3::Request, _>(may, get_pushers::handle)
        .mount::<push::set_pusher::v3::Request, _>(may, set_pusher::handle)
        .mount::<push::get_notifications::v3::Request, _>(may, get_notifications::handle)
}
