//! `GET /_matrix/client/v3/thirdparty/location`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation>

use ruma::api::client::thirdparty::get_location_for_room_alias::v3::{Request, Response};
use vestibule_http::{Incoming, Outgoing};

/// An alias of a bridge has locations; here none does.
pub(crate) async fn handle(Incoming(_): Incoming<Request>) -> Outgoing<Response> {
    Outgoing(Response::new(Vec::new()))
}
