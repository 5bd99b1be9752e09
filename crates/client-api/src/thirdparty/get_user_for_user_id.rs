//! `GET /_matrix/client/v3/thirdparty/user`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuser>

use ruma::api::client::thirdparty::get_user_for_user_id::v3::{Request, Response};
use vestibule_http::{Incoming, Outgoing};

/// A user of a bridge stands for somebody elsewhere; here none does.
pub(crate) async fn handle(Incoming(_): Incoming<Request>) -> Outgoing<Response> {
    Outgoing(Response::new(Vec::new()))
}
