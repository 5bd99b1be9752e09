//! Guest links, which are this server's own and not in the specification.

mod redeem;

use http::Method;
use vestibule_http::Login;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

const REDEEM: &str = "/_vestibule/client/v1/guest_links/redeem";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let door = (EndpointRule::May(Ability::Join), Login::Required);
    routes.mount_at(Method::POST, REDEEM, door, redeem::handle)
}
