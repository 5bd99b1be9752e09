//! What application services ask for with their own token. None can be registered yet, so nobody has
//! the class these endpoints are for: everybody is refused before a handler runs.

mod request_ping;
mod set_room_visibility;

use ruma::api::client::appservice;
use vestibule_http::MatrixError;
use vestibule_policy::EndpointRule;

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let own = EndpointRule::Appservice;
    routes
        .mount::<appservice::request_ping::v1::Request, _>(own, request_ping::handle)
        .mount::<appservice::set_room_visibility::v3::Request, _>(own, set_room_visibility::handle)
}

/// 403: the token is no application service's, or another one's.
fn nobody() -> MatrixError {
    MatrixError::forbidden("the access token is not that of this application service")
}
