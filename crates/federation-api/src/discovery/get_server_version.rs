//! `GET /_matrix/federation/v1/version`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1version>

use ruma::api::federation::discovery::get_server_version::v1::{Response, Server};
use vestibule_http::Outgoing;

pub(crate) async fn handle() -> Outgoing<Response> {
    let mut server = Server::new();
    server.name = Some("Vestibule".to_owned());
    server.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut response = Response::new();
    response.server = Some(server);
    Outgoing(response)
}
