//! The client-server API: one endpoint per file, and no decisions in any of them.
//!
//! A handler reads the request, calls one service method, and maps each error to the answer the
//! specification wants. Every folder has a `routes` function that names its endpoints, each with
//! the class of caller it is for; the table of all of them is guarded by a golden file.

mod account;
mod admin;
mod appservice;
mod backup;
mod by_user;
mod dehydrated;
mod device;
mod directory;
mod discovery;
mod ephemeral;
mod extract;
mod failure;
mod fallback;
mod guest_link;
mod keys;
mod media;
mod openid;
mod page;
mod presence;
mod profile;
mod push;
mod relation;
mod reporting;
mod room;
mod search;
mod session;
mod space;
mod state;
mod sync;
mod thirdparty;
mod to_device;
mod uiaa;
mod user_data;
mod user_directory;

use std::sync::Arc;

use axum::Router;
use vestibule_http::{Doorway, Routes};
use vestibule_policy::EndpointRule;

use self::state::{ClientGate, TokenAuthenticator};
pub use self::{
    discovery::CLAIMED_VERSIONS,
    state::{ClientApi, ClientApiSettings, Services, Support},
};

/// The endpoints of this surface, while they are collected.
pub(crate) type ClientRoutes = Routes<Services, EndpointRule>;

/// Every endpoint of the client-server API, with the class of caller it is for.
#[must_use]
pub fn routes(api: &ClientApi) -> Routes<Services, EndpointRule> {
    let doorway = Doorway {
        authenticator: Arc::new(TokenAuthenticator::new(api)),
        gate: Arc::new(ClientGate::new(api)),
    };
    let routes = Routes::new(doorway);
    let routes = discovery::routes(routes);
    let routes = account::routes(routes);
    let routes = session::routes(routes);
    let routes = fallback::routes(routes);
    let routes = admin::routes(routes);
    let routes = appservice::routes(routes);
    let routes = thirdparty::routes(routes);
    let routes = device::routes(routes);
    let routes = media::routes(routes);
    let routes = openid::routes(routes);
    let routes = presence::routes(routes);
    let routes = profile::routes(routes);
    let routes = user_data::routes(routes);
    let routes = room::routes(routes);
    let routes = to_device::routes(routes);
    let routes = keys::routes(routes);
    let routes = dehydrated::routes(routes);
    let routes = backup::routes(routes);
    let routes = relation::routes(routes);
    let routes = space::routes(routes);
    let routes = reporting::routes(routes);
    let routes = user_directory::routes(routes);
    let routes = search::routes(routes);
    let routes = directory::routes(routes);
    let routes = guest_link::routes(routes);
    let routes = ephemeral::routes(routes);
    let routes = push::routes(routes);
    let routes = sync::routes(routes);
    // Clients of old ask under the first prefix, also for what is younger than that.
    routes.also_under("/_matrix/client/v3/", "/_matrix/client/r0/")
}

/// The router of the client-server API.
pub fn router(api: ClientApi) -> Router {
    routes(&api).into_router(api.into())
}

#[cfg(test)]
mod tests;
