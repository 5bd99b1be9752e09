//! `GET /_matrix/client/v3/login`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>

use ruma::api::client::session::get_login_types::v3::{LoginType, PasswordLoginType, Response};
use vestibule_http::Outgoing;

pub(crate) async fn handle() -> Outgoing<Response> {
    Outgoing(Response::new(vec![LoginType::Password(PasswordLoginType::new())]))
}
