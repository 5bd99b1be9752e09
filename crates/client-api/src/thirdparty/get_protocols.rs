//! `GET /_matrix/client/v3/thirdparty/protocols`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols>

use std::collections::BTreeMap;

use ruma::api::client::thirdparty::get_protocols::v3::Response;
use vestibule_http::Outgoing;

pub(crate) async fn handle() -> Outgoing<Response> {
    Outgoing(Response::new(BTreeMap::new()))
}
