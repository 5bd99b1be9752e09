//! The server-server API: one endpoint per file, and no decisions in any of them.
//!
//! A request reaches its handler only after its signature was checked; the handler takes the server
//! that made it as [`Origin`](guard::Origin). Endpoints whose metadata asks for no signature are open
//! to everybody. Every folder has a `routes` function that names its endpoints; the table of all of
//! them is guarded by a golden file.

mod authorization;
mod backfill;
mod directory;
mod discovery;
mod event;
mod failure;
mod guard;
mod keys;
mod media;
mod membership;
mod openid;
mod pdus;
mod query;
mod room_policy;
mod server_keys;
mod space;
mod state;
mod third_party;
mod transaction;
mod x_matrix;

use axum::Router;
use vestibule_http::Routes;

use self::guard::ServerGuard;
pub use self::{
    guard::BodySize,
    state::{FederationApi, FederationApiSettings},
};

/// The endpoints of this surface, while they are collected.
pub(crate) type FederationRoutes = Routes<FederationApi, BodySize>;

/// Every endpoint of the server-server API, with how large a body it reads.
#[must_use]
pub fn routes(api: &FederationApi) -> Routes<FederationApi, BodySize> {
    let routes = Routes::new(ServerGuard::new(api.federation.clone()));
    let routes = authorization::routes(routes);
    let routes = backfill::routes(routes);
    let routes = directory::routes(routes);
    let routes = discovery::routes(routes);
    let routes = event::routes(routes);
    let routes = keys::routes(routes);
    let routes = media::routes(routes);
    let routes = openid::routes(routes);
    let routes = membership::routes(routes);
    let routes = query::routes(routes);
    let routes = room_policy::routes(routes);
    let routes = server_keys::routes(routes);
    let routes = space::routes(routes);
    let routes = third_party::routes(routes);
    transaction::routes(routes)
}

/// The router of the server-server API.
pub fn router(api: FederationApi) -> Router {
    routes(&api).into_router(api)
}

#[cfg(test)]
mod tests;
