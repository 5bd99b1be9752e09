//! The server-server API: one endpoint per file, and no decisions in any of them.

mod state;

use axum::Router;

pub use self::state::FederationApi;

/// The router of the server-server API.
pub fn router(api: FederationApi) -> Router {
    Router::new().with_state(api)
}
